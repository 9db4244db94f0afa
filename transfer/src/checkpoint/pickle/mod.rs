//! Reading Python's pickle format without being able to run anything.
//!
//! A pickle is a program for a small stack machine whose instruction `REDUCE` calls any function that the file names;
//! opening one with Python runs it. The machine here knows tensors, storages and plain containers and nothing else: a
//! call of anything outside a fixed list ends the reading with the name of what would have been called. Instructions:
//! <https://github.com/python/cpython/blob/main/Lib/pickletools.py>, protocols 2 to 5.
//!
//! Not here: the text instructions of protocols 0 and 1, which `torch.save` never wrote.

mod cursor;
mod globals;
mod machine;
mod value;

pub(super) use machine::run;
pub(super) use value::{Graph, Storage, Value};
