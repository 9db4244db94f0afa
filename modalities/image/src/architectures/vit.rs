//! Vision transformers (Dosovitskiy et al. 2021, arXiv 2010.11929): AugReg (arXiv 2106.10270), DeiT (arXiv 2012.12877) and DINOv2
//! (arXiv 2304.07193), whose networks differ in sizes and in the scale of their branches.
//!
//! Stages: `patch_embed`, which ends in `[batch, 1 + patches, width]`, the class token first, with the embeddings of places added;
//! `blocks.0`, `blocks.1`, …, the last of which ends behind the final norm; `pool`, which takes the class token; `head`. Names are timm's.

use tk_engine::blocks::{POOL_STAGE, head, residual};
use tk_engine::graph::{Activation, Attention, Conv2d, Dimension, Init, Kind, Op, SliceRange};
use tk_engine::{Graph, GraphBuilder, Value};
use tk_transfer::checkpoint::Rule;

use super::architecture::Builder;
use super::{Architecture, ArchitectureError, Body, Family, FineTuning, Settings, find};

/// Vision transformers.
pub(super) static FAMILY: Family = Family {
    name: "vit",
    body: Body::Tokens,
    fine_tuning: FineTuning { learning_rate: 1e-4, layer_decay: Some(0.75), weight_decay: 0.05 },
    networks: &NETWORKS,
};

static NETWORKS: [Architecture; 8] = [
    vit("vit_tiny_patch16_224", |s| build(&Shape::new("vit_tiny_patch16_224", TINY), s)),
    vit("vit_small_patch16_224", |s| build(&Shape::new("vit_small_patch16_224", SMALL), s)),
    Architecture {
        renames: TORCHVISION,
        ..vit("vit_base_patch16_224", |s| build(&Shape::new("vit_base_patch16_224", BASE), s))
    },
    vit("deit_tiny_patch16_224", |s| build(&Shape::new("deit_tiny_patch16_224", TINY), s)),
    vit("deit_small_patch16_224", |s| build(&Shape::new("deit_small_patch16_224", SMALL), s)),
    vit("deit_base_patch16_224", |s| build(&Shape::new("deit_base_patch16_224", BASE), s)),
    vit("vit_small_patch14_dinov2", |s| build(&Shape::dino("vit_small_patch14_dinov2", SMALL), s)),
    vit("vit_base_patch14_dinov2", |s| build(&Shape::dino("vit_base_patch14_dinov2", BASE), s)),
];

const fn vit(name: &'static str, graph: Builder) -> Architecture {
    Architecture { name, family: &FAMILY, head: "head", renames: &[], graph }
}

/// Width and count of heads; each head has 64 channels.
type Size = (usize, usize);

const TINY: Size = (192, 3);
const SMALL: Size = (384, 6);
const BASE: Size = (768, 12);

const BLOCKS: usize = 12;
const EPSILON: f64 = 1e-6;

/// The deviation of initial weights.
const DEVIATION: f64 = 0.02;

/// What tells one network of the family from another.
struct Shape {
    name: &'static str,
    size: Size,
    /// The side of a patch in pixels.
    patch: usize,
    /// What each channel of a branch is multiplied by at first; `None`: branches are not scaled.
    branch_scale: Option<f64>,
}

impl Shape {
    fn new(name: &'static str, size: Size) -> Self {
        Self { name, size, patch: 16, branch_scale: None }
    }

    fn dino(name: &'static str, size: Size) -> Self {
        Self { name, size, patch: 14, branch_scale: Some(1e-5) }
    }

    /// Rows and columns of patches.
    fn grid(&self, settings: &Settings) -> Result<[usize; 2], ArchitectureError> {
        let sides = match settings.model_args.img_size {
            Some(size) => size.sides(),
            None => find(self.name)?.preprocess().input_size,
        };
        let grid = sides.map(|side| side as usize / self.patch);
        match sides.iter().all(|&side| side > 0 && (side as usize).is_multiple_of(self.patch)) {
            true => Ok(grid),
            false => Err(ArchitectureError::Setting {
                architecture: self.name,
                setting: "img_size",
                expected: if self.patch == 14 { "multiples of 14 pixels" } else { "multiples of 16 pixels" },
                found: format!("{}×{} (height × width)", sides[0], sides[1]),
            }),
        }
    }
}

fn build(shape: &Shape, settings: &Settings) -> Result<Graph, ArchitectureError> {
    settings.model_args.only(shape.name, &["img_size"])?;
    let (width, heads) = shape.size;
    let [rows, columns] = shape.grid(settings)?;

    let mut b = GraphBuilder::new();
    b.begin_stage("patch_embed");
    let pixels = b.input("pixels", 4, Some(3));
    // Like biases, this and the embeddings of places are added to what is learnt from pixels, and do not decay.
    let token = b.parameter("cls_token", &[1, 1, width], Kind::Bias, Init::Normal(1e-6));
    let patches = Conv2d::same(width, shape.patch).padding(0).stride(shape.patch).with_bias();
    let x = b.conv2d("patch_embed.proj", pixels, patches);
    let places = [Dimension::Same(0), Dimension::Rest, Dimension::Same(3)];
    let x = b.add("patch_embed.flatten", Op::Reshape(places.to_vec()), &[x]);
    let token = b.add("cls_token.repeat", Op::ExpandLike { axis: 0 }, &[token, x]);
    let x = b.add("patch_embed.tokens", Op::Concat { axis: 1 }, &[token, x]);
    let positions =
        b.parameter("pos_embed", &[1, 1 + rows * columns, width], Kind::Bias, Init::Normal(DEVIATION));
    let mut x = b.add("pos_embed.add", Op::Add, &[x, positions]);
    b.end_stage(x);

    for index in 0..BLOCKS {
        let name = format!("blocks.{index}");
        b.begin_stage(&name);
        let drop_path = settings.drop_path * index as f64 / (BLOCKS - 1) as f64;
        x = block(&mut b, shape, (&name, heads), x, drop_path);
        if index + 1 == BLOCKS {
            x = b.layer_norm("norm", x, EPSILON);
        }
        b.end_stage(x);
    }

    b.begin_stage(POOL_STAGE);
    let first = SliceRange::Fixed { start: 0, length: 1 };
    let token = b.add("pool.token", Op::Slice { axis: 1, range: first }, &[x]);
    let flat = vec![Dimension::Same(0), Dimension::Same(2)];
    let features = b.add("pool.flatten", Op::Reshape(flat), &[token]);
    b.end_stage(features);
    Ok(head(b, features, "head", settings.classes, settings.drop_rate)?)
}

/// Attention, then two linear layers, each of a norm's result and added to what came in.
fn block(
    b: &mut GraphBuilder,
    shape: &Shape,
    (name, heads): (&str, usize),
    x: Value,
    drop_path: f64,
) -> Value {
    let of = |part: &str| format!("{name}.{part}");
    let width = b.channels(x);
    let scaled = |b: &mut GraphBuilder, number: usize, branch: Value| match shape.branch_scale {
        None => branch,
        Some(start) => {
            let gamma = b.parameter(
                &of(&format!("ls{number}.gamma")),
                &[width],
                Kind::NormWeight,
                Init::Constant(start),
            );
            b.add(&of(&format!("ls{number}")), Op::Multiply, &[branch, gamma])
        }
    };

    let y = b.layer_norm(&of("norm1"), x, EPSILON);
    let together = linear(b, &of("attn.qkv"), y, 3 * width);
    let third = |b: &mut GraphBuilder, number: usize, part: &str| {
        let range = SliceRange::Fixed { start: number * width, length: width };
        b.add(&of(&format!("attn.{part}")), Op::Slice { axis: 2, range }, &[together])
    };
    let operands = [third(b, 0, "query"), third(b, 1, "key"), third(b, 2, "value")];
    let y = b.add(&of("attn"), Op::Attention(Attention { heads, dropout: 0.0 }), &operands);
    let y = linear(b, &of("attn.proj"), y, width);
    let y = scaled(b, 1, y);
    let x = residual(b, &of("attn"), y, x, drop_path);

    let y = b.layer_norm(&of("norm2"), x, EPSILON);
    let y = linear(b, &of("mlp.fc1"), y, 4 * width);
    let y = b.activation(&of("mlp.act"), y, Activation::Gelu);
    let y = linear(b, &of("mlp.fc2"), y, width);
    let y = scaled(b, 2, y);
    residual(b, &of("mlp"), y, x, drop_path)
}

/// A linear layer whose weight starts as the paper's networks start it.
fn linear(b: &mut GraphBuilder, name: &str, x: Value, out: usize) -> Value {
    b.linear_from(name, x, out, Init::Normal(DEVIATION))
}

const TORCHVISION: &[Rule] = &[
    Rule::Prefix { from: "class_token", to: "cls_token" },
    Rule::Prefix { from: "conv_proj.", to: "patch_embed.proj." },
    Rule::Prefix { from: "encoder.pos_embedding", to: "pos_embed" },
    Rule::Prefix { from: "encoder.ln.", to: "norm." },
    Rule::Prefix { from: "heads.head.", to: "head." },
    Rule::Prefix { from: "encoder.layers.encoder_layer_", to: "blocks." },
    Rule::Pattern { from: r"\.ln_1\.", to: ".norm1." },
    Rule::Pattern { from: r"\.ln_2\.", to: ".norm2." },
    Rule::Pattern { from: r"\.self_attention\.in_proj_", to: ".attn.qkv." },
    Rule::Pattern { from: r"\.self_attention\.out_proj\.", to: ".attn.proj." },
    // torchvision's own files spell the layers of the perceptron in two ways.
    Rule::Pattern { from: r"\.mlp\.(0|linear_1)\.", to: ".mlp.fc1." },
    Rule::Pattern { from: r"\.mlp\.(3|linear_2)\.", to: ".mlp.fc2." },
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::ImageSize;
    use super::*;

    fn sized(size: ImageSize) -> Settings {
        let mut settings = Settings::classes(3);
        settings.model_args.img_size = Some(size);
        settings
    }

    #[test]
    fn there_is_an_embedding_for_each_patch_and_the_class() {
        for (name, size, places) in [
            ("vit_tiny_patch16_224", None, 197),
            ("vit_small_patch14_dinov2", None, 1370),
            ("vit_tiny_patch16_224", Some(ImageSize::Square(64)), 17),
            ("vit_tiny_patch16_224", Some(ImageSize::Sides([32, 64])), 9),
        ] {
            let settings = size.map_or_else(|| Settings::classes(3), sized);
            let graph = find(name).unwrap().build(&settings).unwrap();
            let positions = graph.parameter("pos_embed").unwrap();
            assert_eq!(graph.parameters()[positions].shape[1], places, "{name} {size:?}");
        }
    }

    #[test]
    fn sides_are_whole_patches() {
        let error = find("vit_tiny_patch16_224").unwrap().build(&sized(ImageSize::Square(100))).unwrap_err();
        let expected = "`img_size` of vit_tiny_patch16_224: expected multiples of 16 pixels, found 100×100 (height × width)";
        assert_eq!(error.to_string(), expected);
    }
}
