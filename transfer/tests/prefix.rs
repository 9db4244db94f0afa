//! Prefixes in each precision, over pictures of two sizes: what they leave of a sample depends on nothing else, and is never mixed.

use tk_engine::cpu::{Isa, Machine};
use tk_engine::graph::{Activation, Conv2d, Op};
use tk_engine::random::Stream;
use tk_engine::{Graph, GraphBuilder, Parameters, Precision, Tensor};
use tk_transfer::fit::{Source, SourceError, View};
use tk_transfer::prefix::{Finding, Frozen, PrecisionChoice, PrecisionReport, Prefix, PrefixStore};
use tk_transfer::task::Batch;

const CHANNELS: usize = 32;

/// Noise around a level of each sample's own.
struct Pictures {
    samples: usize,
    /// Every so many is large.
    large: usize,
    /// How far levels are from each other.
    spread: f64,
}

impl Source for Pictures {
    fn len(&self) -> usize {
        self.samples
    }

    fn identity(&self, sample: usize) -> u64 {
        sample as u64
    }

    fn cache_key(&self, sample: usize, view: View) -> Option<String> {
        Some(format!("{sample}-{view:?}-{}", self.spread))
    }

    /// The side: kernels of 3 × 3 are evaluated at Winograd's points on the larger ones alone.
    fn bucket(&self, sample: usize) -> usize {
        if (sample + 1).is_multiple_of(self.large) { 16 } else { 6 }
    }

    fn load(&self, samples: &[usize], _: View) -> Result<Batch, SourceError> {
        let side = self.bucket(samples[0]);
        let mut numbers = Vec::new();
        for &sample in samples {
            assert_eq!(self.bucket(sample), side, "prefixes run one size at a time");
            let level = self.spread * Stream::new(1, &["level".into(), sample.into()]).normal();
            let mut noise = Stream::new(1, &["noise".into()]);
            numbers.extend((0..side * side * CHANNELS).map(|_| (level + noise.normal()) as f32));
        }
        let shape = [samples.len(), side, side, CHANNELS];
        let inputs = vec![Tensor::new(&shape, numbers).map_err(SourceError::new)?];
        Ok(Batch { inputs, targets: Vec::new(), samples: samples.to_vec() })
    }

    fn targets(&self, _: &[usize], _: View) -> Result<Vec<Tensor>, SourceError> {
        Ok(Vec::new())
    }
}

/// Two convolutions and a pool of `CHANNELS` channels, or a pool alone.
fn graph(convolutions: usize) -> Graph {
    let mut b = GraphBuilder::new();
    b.begin_stage("stem");
    let mut x = b.input("pixels", 4, Some(CHANNELS));
    for number in 0..convolutions {
        x = b.conv2d(&format!("conv{number}"), x, Conv2d::same(CHANNELS, 3));
        x = b.activation(&format!("relu{number}"), x, Activation::Relu);
    }
    x = b.add("pool", Op::GlobalAveragePool, &[x]);
    b.end_stage(x);
    b.finish(&[("features", x)]).unwrap()
}

fn compiled(
    machine: &Machine,
    store: &PrefixStore,
    asked: PrecisionChoice,
    source: &Pictures,
) -> (Prefix, Option<PrecisionReport>) {
    let graph = graph(2);
    let parameters = Parameters::initial(&graph, 1);
    let frozen = Frozen { machine, graph: &graph, parameters: &parameters, store };
    frozen.compile(asked, "stem", source).unwrap()
}

const EXPLICIT: [PrecisionChoice; 3] = [PrecisionChoice::F32, PrecisionChoice::Bf16, PrecisionChoice::Int8];

#[test]
fn what_is_left_of_a_sample_depends_on_neither_companions_nor_threads() {
    let source = Pictures { samples: 30, large: 3, spread: 1.0 };
    let all: Vec<usize> = (0..30).collect();
    let mut seen = Vec::new();
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for asked in EXPLICIT {
            let machine = |threads| Machine::new(threads).with_isa(isa);
            let (one, _) = compiled(&machine(1), &PrefixStore::none(), asked, &source);
            let (two, report) = compiled(&machine(2), &PrefixStore::none(), asked, &source);
            assert_eq!(report.is_some(), asked != PrecisionChoice::F32);
            let (read, together) = one.outputs(&source, &all, View::Augmented(1)).unwrap();
            assert_eq!(read, all);
            for sample in (0..30).rev() {
                let (_, alone) = two.outputs(&source, &[sample], View::Augmented(1)).unwrap();
                assert_eq!(
                    alone[0],
                    together[0].rows(sample, sample + 1).unwrap(),
                    "{isa:?} {asked} {sample}"
                );
            }
            one.audit().unwrap();
            seen.push(together[0].to_f32());
        }
    }
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "each precision gives numbers of its own");
}

#[test]
fn weights_that_are_packed_anew_for_other_sizes_pass_the_audit() {
    let source = Pictures { samples: 6, large: 3, spread: 1.0 };
    let (prefix, _) = compiled(&Machine::new(1), &PrefixStore::none(), PrecisionChoice::F32, &source);
    assert_eq!(prefix.audit().unwrap(), None, "nothing ran");
    prefix.outputs(&source, &[0, 1], View::Plain).unwrap();
    let before = prefix.audit().unwrap();
    // The first large one: kernels are evaluated at points.
    prefix.outputs(&source, &[2], View::Plain).unwrap();
    assert!(before.is_some());
    assert_eq!(prefix.audit().unwrap(), before);
}

#[test]
fn results_of_different_precisions_are_never_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let store = PrefixStore::at(folder.path(), 1 << 30);
    let source = Pictures { samples: 12, large: 3, spread: 1.0 };
    // Other samples give other bounds, and bytes stand for something else.
    let other = Pictures { samples: 12, large: 3, spread: 3.0 };
    let all: Vec<usize> = (0..12).collect();
    let misses = |asked, source: &Pictures| {
        let (prefix, _) = compiled(&Machine::new(1), &store, asked, source);
        prefix.outputs(source, &all, View::Augmented(0)).unwrap();
        prefix.outputs(source, &all, View::Augmented(0)).unwrap();
        prefix.counts().1
    };
    assert_eq!(misses(PrecisionChoice::F32, &source), 12);
    for asked in [PrecisionChoice::Bf16, PrecisionChoice::Int8] {
        // The plain views, for the comparison, and the augmented ones.
        assert_eq!(misses(asked, &source), 24, "{asked}");
        assert_eq!(misses(asked, &source), 0, "{asked}");
    }
    assert_eq!(misses(PrecisionChoice::F32, &source), 0);
    let keys = store.usage().unwrap().len();
    assert_eq!(keys, 3);
    misses(PrecisionChoice::Int8, &other);
    assert_eq!(store.usage().unwrap().len(), keys + 1);
}

#[test]
fn auto_takes_the_fewest_bits_that_leave_nearly_the_same_and_says_so() {
    let machine = Machine::new(1);
    let found = |samples, spread| {
        let source = Pictures { samples, large: 1000, spread };
        let (_, report) = compiled(&machine, &PrefixStore::none(), PrecisionChoice::Auto, &source);
        report.unwrap()
    };
    // Far apart, samples are told from each other in bytes too; close to each other they need more bits, and then all of them.
    let candidates: Vec<Precision> =
        [Precision::Int8, Precision::Bf16].into_iter().filter(|&bits| machine.isa.has(bits)).collect();
    for (spread, take) in [(1.0, 0), (0.1, 1), (0.01, 2)] {
        let report = found(40, spread);
        let taken = candidates.get(take).copied().unwrap_or(Precision::F32);
        if candidates.len() == 2 {
            assert_eq!((report.taken, report.samples, report.emulated), (taken, 40, false), "{report}");
            assert!(report.to_string().starts_with(&format!("{taken} up to stem: ")), "{report}");
            assert!(report.to_string().contains("on 40 samples"), "{report}");
        }
    }
    for (samples, spread) in [(7, 1.0), (0, 1.0)] {
        let report = found(samples, spread);
        assert_eq!(report.taken, Precision::F32, "{report}");
        assert!(
            candidates.len() < 2 || report.tried.iter().all(|tried| tried.finding == Finding::Incomparable)
        );
    }
    // More are not looked at, and those are spread over all.
    assert!(candidates.is_empty() || found(400, 1.0).samples == 128);

    let plain = Machine::new(1).with_isa(Isa::Portable);
    let source = Pictures { samples: 12, large: 3, spread: 1.0 };
    let (_, report) = compiled(&plain, &PrefixStore::none(), PrecisionChoice::Auto, &source);
    let report = report.unwrap();
    assert_eq!(report.taken, Precision::F32);
    assert!(report.to_string().contains("no instructions for int8; "), "{report}");
    let (_, report) = compiled(&plain, &PrefixStore::none(), PrecisionChoice::Int8, &source);
    let report = report.unwrap();
    assert_eq!((report.taken, report.emulated), (Precision::Int8, true));
    assert!(report.to_string().ends_with("emulates it, which is slower than f32"), "{report}");
}

#[test]
fn a_precision_that_suits_no_layer_is_f32_and_says_so() {
    let (machine, store, graph) = (Machine::new(1), PrefixStore::none(), graph(0));
    let frozen =
        Frozen { machine: &machine, graph: &graph, parameters: &Parameters::default(), store: &store };
    let source = Pictures { samples: 12, large: 3, spread: 1.0 };
    for asked in [PrecisionChoice::Bf16, PrecisionChoice::Int8] {
        let (_, report) = frozen.compile(asked, "stem", &source).unwrap();
        assert_eq!(report.unwrap().to_string(), format!("f32 up to stem: {asked} suits no layer"));
    }
}
