//! What the machine builds: values that are copied freely, and objects that they share.

use crate::checkpoint::dtype::Dtype;

/// A value on the machine's stack. Containers are shared as in Python, hence kept in the [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::checkpoint) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    /// A function or class that the file names. Naming is harmless; calling is judged in `globals`.
    Global(Global<'a>),
    /// An object of the graph.
    Object(usize),
    /// Something of no interest: a float, bytes, a set, an array of an optimizer's state.
    Other(&'static str),
}

/// A name of a function or class, as the file spells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::checkpoint) struct Global<'a> {
    pub(super) module: &'a str,
    pub(super) name: &'a str,
}

/// An object that several values may share.
#[derive(Debug)]
pub(in crate::checkpoint) enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(Tensor<'a>),
}

/// A storage: typed bytes that lie outside the pickle.
#[derive(Debug, Clone, Copy)]
pub(in crate::checkpoint) struct Storage<'a> {
    pub(in crate::checkpoint) key: &'a str,
    /// `None` for untyped bytes.
    pub(in crate::checkpoint) dtype: Option<Dtype>,
    pub(in crate::checkpoint) elements: u64,
}

/// A strided window of a storage; nothing about it has been checked.
#[derive(Debug)]
pub(in crate::checkpoint) struct Tensor<'a> {
    pub(in crate::checkpoint) storage: Storage<'a>,
    pub(in crate::checkpoint) dtype: Dtype,
    pub(in crate::checkpoint) offset: u64,
    pub(in crate::checkpoint) shape: Vec<u64>,
    pub(in crate::checkpoint) strides: Vec<u64>,
}

/// Everything that one pickle built. Each instruction adds at most one object, so it is bounded by the file.
#[derive(Debug, Default)]
pub(in crate::checkpoint) struct Graph<'a> {
    pub(super) objects: Vec<Object<'a>>,
}

impl<'a> Graph<'a> {
    pub(super) fn add(&mut self, object: Object<'a>) -> Value<'a> {
        self.objects.push(object);
        Value::Object(self.objects.len() - 1)
    }

    /// Every storage that the pickle refers to.
    pub(in crate::checkpoint) fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// The object behind a value, if it is one.
    pub(in crate::checkpoint) fn object(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match value {
            Value::Object(index) => self.objects.get(index),
            _ => None,
        }
    }

    /// Items of a tuple or list.
    pub(in crate::checkpoint) fn items(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match self.object(value)? {
            Object::Tuple(items) | Object::List(items) => Some(items),
            _ => None,
        }
    }

    /// Entries of a dictionary, in order.
    pub(in crate::checkpoint) fn entries(&self, value: Value<'a>) -> Option<&[(Value<'a>, Value<'a>)]> {
        match self.object(value)? {
            Object::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    pub(in crate::checkpoint) fn tensor(&self, value: Value<'a>) -> Option<&Tensor<'a>> {
        match self.object(value)? {
            Object::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// What kind of thing a value is, for messages.
    pub(in crate::checkpoint) fn kind(&self, value: Value<'a>) -> &'static str {
        match value {
            Value::None => "nothing",
            Value::Bool(_) | Value::Int(_) => "a number",
            Value::Text(_) => "text",
            Value::Global(_) => "a class",
            Value::Other(kind) => kind,
            Value::Object(_) => match self.object(value) {
                Some(Object::Tuple(_)) => "a tuple",
                Some(Object::List(_)) => "a list",
                Some(Object::Dict(_)) => "a dictionary",
                Some(Object::Storage(_)) => "a storage",
                Some(Object::Tensor(_)) => "a tensor",
                None => "nothing",
            },
        }
    }
}
