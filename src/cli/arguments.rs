//! Everything that can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tk_engine::Precision;

/// Transfer learning on your own data.
#[derive(Debug, Parser)]
#[command(name = "tk", version, about, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Adapt a model to photographs: a folder per class or a table in, a classifier out
    ImageClassify(Box<ImageClassify>),
    /// Adapt a model to find objects: photographs with boxes in, a detector out
    ImageDetect(Box<ImageDetect>),
    /// Adapt a model to tell the class of every pixel: photographs with masks in, a segmenter out
    ImageSegment(Box<ImageSegment>),
    /// Adapt a model to texts: a table or a folder of labelled texts in, a classifier out
    TextClassify(Box<TextClassify>),
    /// Adapt an encoder to tagged words: entities, parts of speech; a tagger out
    TextTag(Box<TextTag>),
    /// Adapt a model to recordings: a folder per class or a table in, a classifier out
    AudioClassify(Box<AudioClassify>),
    /// Adapt a model to speech: recordings with transcripts in, a recogniser out
    SpeechFinetune(Box<SpeechFinetune>),
    /// Go on with a run that was stopped
    Resume(Resume),
    /// Say what samples are, a JSON line for each
    Predict(Predict),
    /// Score a run on samples whose classes are known
    Evaluate(Evaluate),
    /// Write the features of samples
    Embed(Embed),
    /// List models, show, fetch or verify them
    Models(Models),
    /// List or clear what is remembered of frozen prefixes
    Cache(Cache),
    /// Measure how fast a model runs and trains here
    Bench(Bench),
    /// Write what completes commands in a shell: `tk completions bash > FILE`
    Completions(Completions),
}

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct ImageClassify {
    /// A folder per class, with train/, val/ and test/ around them or not; or a table (.csv, .tsv, .jsonl) of paths and labels
    pub data: Option<PathBuf>,
    /// Draw a small data set and use it
    #[arg(long, conflicts_with = "data")]
    pub demo: bool,
    /// What batch-norm does in stages that train
    #[arg(long, value_parser = ["frozen", "train"])]
    pub batch_norm: Option<String>,
    /// How strongly training pictures are varied
    #[arg(long, value_parser = ["none", "light", "standard", "strong", "trivial"])]
    pub augment: Option<String>,
    /// Blend training pictures with others of their batch: mixup, shares from Beta(ALPHA, ALPHA)
    #[arg(long, value_name = "ALPHA")]
    pub mixup: Option<f64>,
    /// Side of the model's input in pixels
    #[arg(long, value_name = "PX")]
    pub size: Option<i64>,
    #[command(flatten)]
    pub train: Train,
}

#[derive(Debug, Args)]
pub struct ImageDetect {
    /// Photographs with boxes: COCO's JSON, Pascal VOC's XML, YOLO's text or data.yaml, PASCAL 1.00's text; which of them is seen by itself
    pub data: PathBuf,
    /// What batch-norm does: frozen, frozen but in a new head (the default), or by the batch's statistics wherever it trains
    #[arg(long, value_parser = ["frozen", "head", "train"])]
    pub batch_norm: Option<String>,
    /// How strongly training photographs are varied; boxes follow
    #[arg(long, value_parser = ["none", "light", "standard", "strong"])]
    pub augment: Option<String>,
    /// The shorter side of photographs in pixels; 320 if nothing is said
    #[arg(long, value_name = "PX")]
    pub size: Option<i64>,
    /// Begin with random values in place of the model's, to see what they are worth
    #[arg(long)]
    pub from_scratch: bool,
    #[command(flatten)]
    pub train: Train,
}

#[derive(Debug, Args)]
pub struct ImageSegment {
    /// Photographs with masks: folders of images and masks, Pascal VOC, or COCO's JSON; which of them is seen by itself
    pub data: PathBuf,
    /// What the values of masks are: classes by number, classes by colour, or instances of one class; seen by itself if nothing is said
    #[arg(long, value_parser = ["auto", "index", "palette", "instances"])]
    pub masks: Option<String>,
    /// A file of the classes' names, a line for each in the order of their numbers
    #[arg(long, value_name = "FILE")]
    pub names: Option<String>,
    /// The value of masks that means no class; 255 if nothing is said
    #[arg(long, value_name = "VALUE")]
    pub ignore: Option<i64>,
    /// What batch-norm does: frozen, frozen but in a new head (the default), or by the batch's statistics wherever it trains
    #[arg(long, value_parser = ["frozen", "head", "train"])]
    pub batch_norm: Option<String>,
    /// How strongly training photographs are varied; masks follow
    #[arg(long, value_parser = ["none", "light", "standard", "strong"])]
    pub augment: Option<String>,
    /// The shorter side of photographs in pixels; 320 if nothing is said
    #[arg(long, value_name = "PX")]
    pub size: Option<i64>,
    /// Begin with random values in place of the model's, to see what they are worth
    #[arg(long)]
    pub from_scratch: bool,
    #[command(flatten)]
    pub train: Train,
}

#[derive(Debug, Args)]
pub struct TextClassify {
    /// A table (.csv, .tsv, .jsonl), a folder of train, val and test tables, or a folder per class of .txt files
    pub data: PathBuf,
    /// At most so many tokens of each text
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<i64>,
    /// How tokens become a text's features in features mode; what the model's folder says, else mean
    #[arg(long, value_parser = ["mean", "cls"])]
    pub pooling: Option<String>,
    #[command(flatten)]
    pub train: Train,
}

#[derive(Debug, Args)]
pub struct TextTag {
    /// A file, or a folder of train, dev and test files: a word and its tag on each line (.conll, .tsv, .txt), or JSON on each line (.jsonl)
    pub data: PathBuf,
    /// At most so many tokens at once; longer sentences are seen in windows
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<i64>,
    #[command(flatten)]
    pub train: Train,
}

#[derive(Debug, Args)]
pub struct AudioClassify {
    /// A folder per class, recordings with --label name:REGEX, or a table (.csv, .tsv, .jsonl) of paths and labels
    pub data: PathBuf,
    /// At most so many seconds of each recording, from its beginning; what the model was trained for, if nothing is said
    #[arg(long, value_name = "S")]
    pub max_seconds: Option<f64>,
    /// How strongly training recordings are varied: masks over bands of frequencies and time, and shifts
    #[arg(long, value_parser = ["none", "light", "standard", "strong"])]
    pub augment: Option<String>,
    /// Blend training recordings with others of their batch, by shares from a Beta distribution of this
    #[arg(long, value_name = "ALPHA")]
    pub mixup: Option<f64>,
    #[command(flatten)]
    pub train: Train,
}

#[derive(Debug, Args)]
pub struct SpeechFinetune {
    /// A table (.csv, .tsv, .jsonl) of paths and texts, a folder of train, val and test tables, LibriSpeech's tree, or recordings with
    /// --label name:REGEX
    pub data: PathBuf,
    /// A table of two columns: words of the data and what they are written as, such as 7,seven
    #[arg(long, value_name = "FILE")]
    pub words: Option<String>,
    /// What is made of transcripts: plain (the vocabulary's case, no punctuation) or exact
    #[arg(long, value_parser = ["plain", "exact"])]
    pub spelling: Option<String>,
    /// The symbols: auto (the model's where they spell all transcripts, else the transcripts' own), model, data, or a file with one on each line
    #[arg(long, value_name = "SYMBOLS")]
    pub vocabulary: Option<String>,
    /// Longer recordings are set aside; 30 if nothing is said
    #[arg(long, value_name = "S")]
    pub max_seconds: Option<f64>,
    /// How strongly training recordings are varied in speed, loudness and noise
    #[arg(long, value_parser = ["none", "light", "standard", "strong"])]
    pub augment: Option<String>,
    /// Begin with random values in place of the model's, to see what they are worth
    #[arg(long)]
    pub from_scratch: bool,
    #[command(flatten)]
    pub train: Train,
}

/// What every command that adapts a model takes.
#[derive(Debug, Args)]
pub struct Train {
    /// The column of texts or paths; two of texts, joined by a comma, make a pair
    #[arg(long, value_name = "COL[,COL2]")]
    pub input: Option<String>,
    /// The label's column, or name:REGEX for group 1 in the file's name, or dir; several columns of 0 and 1, joined by commas, are
    /// classes of which a sample has any number
    #[arg(long, value_name = "COL[,COL…]")]
    pub label: Option<String>,
    /// A label's cell holds several labels, or none; SEP stands between them, and is looked for where it is not said
    #[arg(long, value_name = "SEP", num_args = 0..=1, default_missing_value = "auto")]
    pub multi: Option<String>,
    /// The column with train, val or test
    #[arg(long, value_name = "COL")]
    pub split: Option<String>,
    /// Samples of one group never straddle a split or fold: a column, name:REGEX or dir
    #[arg(long, value_name = "COL")]
    pub group: Option<String>,
    /// The model: for photographs `small` (the embedded default), a name of `tk models list`, ARCHITECTURE=FILE, or a folder with
    /// config.json; for texts `text`, for recordings `sound`, for speech `speech` (embedded too) or a folder; for all hf:ORG/NAME or
    /// hf:ORG/NAME@REVISION, which is fetched where it is not here.
    /// Several, joined by commas, are compared in features mode
    #[arg(short, long)]
    pub model: Option<String>,
    /// How much is adapted; features if nothing is said
    #[arg(long, value_parser = ["features", "partial", "full", "gradual", "contrastive", "lora"])]
    pub mode: Option<String>,
    /// The head: logreg, svm, mlp or linear (logreg in features mode, else linear); of image-detect fcos, ssdlite or ssd; of image-segment unet,
    /// deeplabv3, fcn or lraspp
    #[arg(long)]
    pub head: Option<String>,
    /// How a trained head starts; kept: with the rows of a run's head, given as -m RUN, that are of the same classes
    #[arg(long, value_parser = ["probe", "random", "kept"])]
    pub head_init: Option<String>,
    /// What trains besides the head: a stage, last:2, or re:PATTERN (implies partial; default last:1; in gradual mode what trains in the end, by
    /// default everything)
    #[arg(long, value_name = "SPEC", conflicts_with = "freeze")]
    pub unfreeze: Option<String>,
    /// What stays frozen: a stage, 30%, or re:PATTERN (implies partial)
    #[arg(long, value_name = "SPEC")]
    pub freeze: Option<String>,
    /// Rank of the low-rank pairs in lora mode
    #[arg(long, value_name = "N")]
    pub lora_rank: Option<i64>,
    /// Low-rank pairs are scaled by this over their rank
    #[arg(long, value_name = "X")]
    pub lora_alpha: Option<f64>,
    /// Passes over the data
    #[arg(long)]
    pub epochs: Option<i64>,
    /// Peak learning rate, that of the head
    #[arg(long)]
    pub lr: Option<f64>,
    #[arg(long, help = "Weight decay of matrices and kernels")]
    pub weight_decay: Option<f64>,
    /// How the learning rate changes
    #[arg(long, value_parser = ["one-cycle", "cosine", "linear", "constant"])]
    pub schedule: Option<String>,
    /// Share of the steps over which the learning rate rises
    #[arg(long)]
    pub warmup: Option<f64>,
    /// Factor of the learning rate from a stage to the one before it
    #[arg(long)]
    pub layer_decay: Option<f64>,
    /// Stop after so many epochs without a better one on the validation samples; the best epoch is the result
    #[arg(long, value_name = "EPOCHS")]
    pub patience: Option<i64>,
    /// The score that says which epoch is the best, and so the result; accuracy (map, where samples have several labels) with
    /// --patience, else the last epoch is the result
    #[arg(long, value_parser = ["accuracy", "macro_f1", "map", "micro_f1", "f1", "wer", "cer", "ap", "ap50", "ar100", "miou", "pixel_accuracy", "dice", "loss"])]
    pub monitor: Option<String>,
    /// The result is a moving average of the weights, of this decay; 0.99 if none is said
    #[arg(long, value_name = "DECAY", num_args = 0..=1, default_missing_value = "0.99")]
    pub ema: Option<f64>,
    /// Samples in a batch
    #[arg(long)]
    pub batch: Option<i64>,
    /// Batches whose gradients are added up before an update
    #[arg(long)]
    pub accumulate: Option<i64>,
    /// Bits in which convolutions and linear layers multiply; auto: the fewest that leave frozen features nearly what they are in f32
    #[arg(long, value_parser = ["f32", "bf16", "int8", "auto"])]
    pub precision: Option<String>,
    /// What is done about classes of different sizes: weights by inverse frequency, or a sampler that draws from each equally often
    #[arg(long, value_parser = ["none", "weights", "sampler"])]
    pub balance: Option<String>,
    /// At most so many samples of each part of the data
    #[arg(long, value_name = "N")]
    pub limit: Option<i64>,
    /// Seed of every random choice; 0 if nothing is said
    #[arg(long)]
    pub seed: Option<i64>,
    /// Validation: data, 20%, 5fold, none, or a folder or table
    #[arg(long)]
    pub val: Option<String>,
    /// Test: data, 10%, none, or a folder or table; scored once at the end
    #[arg(long)]
    pub test: Option<String>,
    /// How many unusable samples are borne: 5% or a number
    #[arg(long, value_name = "LIMIT")]
    pub max_bad: Option<String>,
    /// Settings from a file; any run.toml is one
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// A setting by its key in run.toml; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Say what would be done, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The run's folder; default runs/DATA-TASK-MODEL-MODE
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Go on with the run in --out, if there is one
    #[arg(long)]
    pub resume: bool,
    /// Replace the run in --out
    #[arg(long, conflicts_with = "resume")]
    pub force: bool,
    #[command(flatten)]
    pub network: Network,
    #[command(flatten)]
    pub work: Work,
}

/// What every command that takes a model's name takes.
#[derive(Debug, Args)]
pub struct Network {
    /// Fetch nothing: use the models that are here (HF_HUB_OFFLINE=1 says so too)
    #[arg(long)]
    pub offline: bool,
}

/// What every command that trains takes.
#[derive(Debug, Args)]
pub struct Work {
    /// One JSON object for each event; the last is a summary
    #[arg(long)]
    pub json: bool,
    /// Threads; 0 is as TRANSFERKIT_THREADS says, or one for each processor
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Folder that remembers what frozen prefixes give
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Seconds between two written states of a training run
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub checkpoint_every: f64,
}

#[derive(Debug, Args)]
pub struct Resume {
    /// The run's folder
    pub run: PathBuf,
    #[command(flatten)]
    pub work: Work,
}

#[derive(Debug, Args)]
pub struct Predict {
    /// A run's folder, or a model as -m takes it
    pub model: String,
    /// Photographs, folders of them, or - for a list of files; for texts tables, .txt files, or - for a text on each line
    #[arg(required_unless_present = "text")]
    pub inputs: Vec<String>,
    #[command(flatten)]
    pub network: Network,
    /// A text, said outright; may be repeated
    #[arg(long)]
    pub text: Vec<String>,
    /// Write to a file, .jsonl or .csv, instead of standard output; transcripts to .jsonl, .srt, .TextGrid or a folder
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What transcripts are written as
    #[arg(long, value_parser = ["jsonl", "srt", "textgrid"])]
    pub format: Option<String>,
    /// Transcripts are searched for among so many prefixes, instead of taking each frame's likeliest symbol
    #[arg(long, value_name = "N")]
    pub beam: Option<usize>,
    /// What is where in long recordings: windows of so many seconds are classified; all that the network looks at if only --hop is said
    #[arg(long, value_name = "SECONDS")]
    pub window: Option<f64>,
    /// Seconds from the beginning of a window to that of the next; half a window if nothing is said
    #[arg(long, value_name = "SECONDS")]
    pub hop: Option<f64>,
    /// The network's weights from this file (.safetensors, .pth) instead of the catalog's
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Write photographs with boxes or classes drawn over them into this folder
    #[arg(long, value_name = "DIR")]
    pub draw: Option<PathBuf>,
    /// Only the K most probable classes, best first; of models that are no runs 5
    #[arg(long, value_name = "K")]
    pub top: Option<usize>,
    /// Below this probability the label is `unknown`; where a sample may have several labels, those from this probability on are
    /// given, 0.5 if nothing is said; of boxes those from this score on, 0.3 if nothing is said
    #[arg(long, value_name = "P")]
    pub min_score: Option<f32>,
    /// The logits too; in a .csv file instead of the probabilities
    #[arg(long)]
    pub logits: bool,
    /// Bits in which convolutions and linear layers multiply
    #[arg(long, value_parser = ["f32", "bf16"], default_value = "f32")]
    pub precision: String,
    /// Threads; 0 is as TRANSFERKIT_THREADS says, or one for each processor
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

#[derive(Debug, Args)]
pub struct Evaluate {
    /// The run's folder
    pub run: String,
    /// Data as training takes them; test samples are scored, else validation samples, else all
    pub data: PathBuf,
    #[command(flatten)]
    pub network: Network,
    /// Fail with code 4 unless this holds, such as 'accuracy>=0.9' or 'wer<=0.1'; may be repeated
    #[arg(long, value_name = "METRIC>=VALUE")]
    pub gate: Vec<String>,
    /// One JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// Bits in which convolutions and linear layers multiply
    #[arg(long, value_parser = ["f32", "bf16"], default_value = "f32")]
    pub precision: String,
    /// Threads; 0 is as TRANSFERKIT_THREADS says, or one for each processor
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

#[derive(Debug, Args)]
pub struct Embed {
    /// A run's folder, or a model as -m takes it
    pub model: String,
    /// Photographs, folders of them, or - for a list of files; for texts tables, .txt files, or - for a text on each line
    #[arg(required = true)]
    pub inputs: Vec<String>,
    #[command(flatten)]
    pub network: Network,
    /// Where to: .safetensors, .npy or .csv
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// Threads; 0 is as TRANSFERKIT_THREADS says, or one for each processor
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

#[derive(Debug, Args)]
pub struct Models {
    #[command(subcommand)]
    pub action: ModelsAction,
}

#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// List the embedded model and all published weights of the catalog
    List {
        /// One JSON object for each
        #[arg(long)]
        json: bool,
    },
    /// Show a model's stages
    Show {
        /// An architecture, or a model as -m takes it
        model: String,
        #[command(flatten)]
        network: Network,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Fetch published weights, or what is missing or newer of them
    Pull {
        /// Names of the catalog, or hf:ORG/NAME or hf:ORG/NAME@REVISION
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        network: Network,
    },
    /// Recompute the digests of published weights that are here
    Verify {
        /// Names of the catalog, or hf:ORG/NAME; everything that is here if nothing is said
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// One JSON object for each file
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct Cache {
    #[command(subcommand)]
    pub action: CacheAction,
}

#[derive(Debug, Subcommand)]
pub enum CacheAction {
    /// List what is remembered
    List {
        /// The folder, if it is not the usual one
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
        /// One JSON object for each key
        #[arg(long)]
        json: bool,
    },
    /// Forget everything
    Clear {
        /// The folder, if it is not the usual one
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct Bench {
    /// An architecture (with random weights), or a model as -m takes it
    pub model: String,
    #[command(flatten)]
    pub network: Network,
    /// Samples in a batch
    #[arg(long, default_value_t = 8)]
    pub batch: usize,
    /// Side of the input in pixels; the model's own if nothing is said
    #[arg(long, value_name = "PX")]
    pub size: Option<u32>,
    /// Tokens of a text; 128 if nothing is said
    #[arg(long, value_name = "N")]
    pub tokens: Option<usize>,
    /// Measure one kind of work; both if nothing is said
    #[arg(long, value_parser = ["inference", "training"])]
    pub only: Option<String>,
    /// Bits of convolutions and linear layers: f32, bf16 or int8 (training: f32 or bf16)
    #[arg(long, value_name = "PRECISION", default_value_t)]
    pub precision: Precision,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Threads; 0 is as TRANSFERKIT_THREADS says, or one for each processor
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}
