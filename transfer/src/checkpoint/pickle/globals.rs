//! The fixed list of what a pickle may call, and what each call builds here.

use super::value::{Global, Graph, Object, Storage, Tensor, Value};
use crate::checkpoint::CheckpointProblem;
use crate::checkpoint::dtype::Dtype;
use crate::checkpoint::tensor::{MAX_RANK, contiguous_strides};

/// Arguments of a call that are looked at.
const MAX_ARGUMENTS: usize = 8;

impl Global<'_> {
    /// Module and name as one would write them in Python.
    pub(super) fn full_name(self) -> String {
        format!("{}.{}", self.module, self.name)
    }

    /// Whether it names a class rather than a function, by Python's customs of spelling.
    fn looks_like_class(self) -> bool {
        self.name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_uppercase()))
    }
}

/// Calls `callable` with the tuple `arguments`, if it is on the list; `offset` is for messages.
pub(super) fn call<'a>(
    graph: &mut Graph<'a>,
    callable: Value<'a>,
    arguments: Value<'a>,
    offset: usize,
) -> Result<Value<'a>, CheckpointProblem> {
    let Value::Global(global) = callable else {
        return Err(fault(format!("a call of {}", graph.kind(callable)), offset));
    };
    // No call on the list looks further; copying more would let a small file ask for endless work.
    let items = graph.items(arguments).ok_or_else(|| fault("a call without a tuple".to_owned(), offset))?;
    let arguments = items.get(..MAX_ARGUMENTS).unwrap_or(items).to_vec();
    match (global.module, global.name) {
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => {
            let tensor = tensor(graph, &arguments, offset)?;
            Ok(graph.add(Object::Tensor(tensor)))
        }
        // The tensor is the first argument; what follows are flags, hooks and attributes.
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => match arguments.first() {
            Some(&value) if graph.tensor(value).is_some() => Ok(value),
            _ => Err(fault("a parameter without a tensor".to_owned(), offset)),
        },
        // (function, class, its arguments, attributes): a tensor of a subclass, or one with attributes.
        ("torch._tensor", "_rebuild_from_type_v2") => match arguments[..] {
            [Value::Global(inner), _, tuple, ..] if inner.module == "torch._utils" => {
                call(graph, Value::Global(inner), tuple, offset)
            }
            [inner @ Value::Global(_), ..] => Err(refusal(graph, inner, &[], offset)),
            _ => Err(fault("a tensor of unknown make".to_owned(), offset)),
        },
        ("collections", "OrderedDict" | "defaultdict" | "Counter") | ("builtins" | "__builtin__", "dict") => {
            Ok(graph.add(Object::Dict(Vec::new())))
        }
        ("torch", "Size") => match arguments.first() {
            Some(&items) => Ok(items),
            None => Ok(graph.add(Object::Tuple(Vec::new()))),
        },
        ("torch", "device") => Ok(Value::Other("a device")),
        ("builtins" | "__builtin__", "set" | "frozenset") => Ok(Value::Other("a set")),
        ("builtins" | "__builtin__", "bytearray" | "complex") | ("_codecs", "encode") => {
            Ok(Value::Other("bytes"))
        }
        ("argparse", "Namespace") => Ok(Value::Other("settings")),
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct")
        | ("numpy", "dtype" | "ndarray")
        | ("numpy._core.numeric" | "numpy.core.numeric", "_frombuffer") => Ok(Value::Other("a numpy value")),
        _ => Err(refusal(graph, callable, &arguments, offset)),
    }
}

/// What to say about a call, or the making of an instance, that is not on the list.
pub(super) fn refusal<'a>(
    graph: &Graph<'a>,
    callable: Value<'a>,
    arguments: &[Value<'a>],
    offset: usize,
) -> CheckpointProblem {
    let Value::Global(global) = callable else {
        return fault(format!("an instance of {}", graph.kind(callable)), offset);
    };
    // Objects that were pickled the old way name their class as the first argument of a function.
    if let ("copy_reg" | "copyreg", "_reconstructor") | ("copyreg", "__newobj__") =
        (global.module, global.name)
        && let Some(Value::Global(class)) = arguments.first()
    {
        return CheckpointProblem::Instance { class: class.full_name(), offset };
    }
    if global.looks_like_class() && !matches!(global.module, "os" | "posix" | "nt" | "subprocess") {
        CheckpointProblem::Instance { class: global.full_name(), offset }
    } else {
        CheckpointProblem::Code { function: global.full_name(), offset }
    }
}

/// Resolves a persistent id, PyTorch's reference to bytes outside the pickle:
/// `('storage', class, key, device, elements)`, and in the legacy format a view, which must be `None`.
pub(super) fn storage<'a>(
    graph: &Graph<'a>,
    id: Value<'a>,
    offset: usize,
) -> Result<Storage<'a>, CheckpointProblem> {
    match graph.items(id) {
        Some(
            &[
                Value::Text("storage"),
                Value::Global(class),
                Value::Text(key),
                _,
                Value::Int(elements),
                ref view @ ..,
            ],
        ) => {
            if !matches!(view, [] | [Value::None]) {
                return Err(fault(
                    "a storage that is a view of another; save it again with a newer PyTorch".to_owned(),
                    offset,
                ));
            }
            let elements = u64::try_from(elements)
                .map_err(|_| fault(format!("a storage of {elements} elements"), offset))?;
            let dtype = match (class.module, class.name) {
                ("torch.storage" | "torch", "UntypedStorage") => None,
                ("torch" | "torch.cuda", name) if name.ends_with("Storage") => {
                    Some(Dtype::from_storage_class(name).ok_or_else(|| CheckpointProblem::UnknownDtype {
                        tensor: format!("storage {key}"),
                        dtype: class.full_name(),
                    })?)
                }
                _ => return Err(refusal(graph, Value::Global(class), &[], offset)),
            };
            Ok(Storage { key, dtype, elements })
        }
        // The legacy format stores the source text of pickled modules this way.
        Some(&[Value::Text("module"), Value::Global(class), ..]) => {
            Err(CheckpointProblem::Instance { class: class.full_name(), offset })
        }
        _ => Err(fault("a reference that is not to a storage".to_owned(), offset)),
    }
}

/// `(storage, offset, shape, strides, …)`; version 3 adds the dtype at place 6, for untyped storages.
fn tensor<'a>(
    graph: &Graph<'a>,
    arguments: &[Value<'a>],
    offset: usize,
) -> Result<Tensor<'a>, CheckpointProblem> {
    let &[storage, Value::Int(first), shape, ref rest @ ..] = arguments else {
        return Err(fault("a tensor with wrong arguments".to_owned(), offset));
    };
    let Some(&Object::Storage(storage)) = graph.object(storage) else {
        return Err(fault(format!("a tensor over {}", graph.kind(storage)), offset));
    };
    let first = u64::try_from(first)
        .map_err(|_| fault(format!("a tensor that starts at element {first}"), offset))?;
    let shape = sizes(graph, shape, offset)?;
    let strides = match rest.first() {
        Some(&strides) => sizes(graph, strides, offset)?,
        None => contiguous_strides(&shape),
    };
    let named = match rest.get(3) {
        Some(Value::Global(global)) if global.module == "torch" => {
            Some(Dtype::from_torch(global.name).ok_or_else(|| CheckpointProblem::UnknownDtype {
                tensor: format!("storage {}", storage.key),
                dtype: global.full_name(),
            })?)
        }
        _ => None,
    };
    let dtype = named
        .or(storage.dtype)
        .ok_or_else(|| fault("a tensor without an element type".to_owned(), offset))?;
    Ok(Tensor { storage, dtype, offset: first, shape, strides })
}

/// A tuple of numbers that are not negative.
fn sizes<'a>(graph: &Graph<'a>, value: Value<'a>, offset: usize) -> Result<Vec<u64>, CheckpointProblem> {
    let items =
        graph.items(value).ok_or_else(|| fault(format!("a shape that is {}", graph.kind(value)), offset))?;
    if items.len() > MAX_RANK {
        return Err(fault(format!("a tensor of {} dimensions", items.len()), offset));
    }
    items
        .iter()
        .map(|item| match item {
            Value::Int(size) if *size >= 0 => Ok(*size as u64),
            Value::Int(size) => Err(fault(format!("a tensor with the size or stride {size}"), offset)),
            other => Err(fault(format!("a size that is {}", graph.kind(*other)), offset)),
        })
        .collect()
}

fn fault(what: String, offset: usize) -> CheckpointProblem {
    CheckpointProblem::Pickle { what, offset }
}
