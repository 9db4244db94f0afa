//! The stack machine: one match over the binary instructions of protocols 2 to 5.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::globals;
use super::value::{Global, Graph, Object, Value};
use crate::checkpoint::CheckpointProblem;

/// Longest pickle that is read. Real ones take about 300 bytes a tensor; weights lie outside.
const MAX_PICKLE_BYTES: usize = 64 << 20;

/// Most objects, remembered values, or values on the stack: about 150,000 tensors.
const MAX_ITEMS: usize = 1 << 20;

/// What one pickle holds.
#[derive(Debug)]
pub(in crate::checkpoint) struct Pickle<'a> {
    /// Everything that was built.
    pub(in crate::checkpoint) graph: Graph<'a>,
    /// The value that the pickle stands for.
    pub(in crate::checkpoint) top: Value<'a>,
    /// Position behind the last instruction.
    pub(in crate::checkpoint) end: usize,
}

/// Executes the pickle that begins at `start`, up to its `STOP`.
pub(in crate::checkpoint) fn run(bytes: &[u8], start: usize) -> Result<Pickle<'_>, CheckpointProblem> {
    let mut machine = Machine {
        cursor: Cursor::new(bytes, start),
        instruction: start,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        graph: Graph::default(),
    };
    while !machine.step()? {
        let items = machine
            .graph
            .objects
            .len()
            .max(machine.memo.len())
            .max(machine.stack.len() + machine.marks.len());
        if items > MAX_ITEMS || machine.cursor.position() - start > MAX_PICKLE_BYTES {
            return Err(machine.fault("more than any real checkpoint holds"));
        }
    }
    let top = machine.pop()?;
    Ok(Pickle { graph: machine.graph, top, end: machine.cursor.position() })
}

struct Machine<'a> {
    cursor: Cursor<'a>,
    /// Position of the instruction being executed.
    instruction: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at each open `MARK`.
    marks: Vec<usize>,
    memo: HashMap<u64, Value<'a>>,
    graph: Graph<'a>,
}

impl<'a> Machine<'a> {
    /// Executes one instruction; true at the end.
    fn step(&mut self) -> Result<bool, CheckpointProblem> {
        self.instruction = self.cursor.position();
        match self.cursor.u8()? {
            0x80 => match self.cursor.u8()? {
                0..=5 => {}
                version => return Err(self.fault(format!("protocol {version}, known are 2 to 5"))),
            },
            0x95 => drop(self.cursor.u64()?), // FRAME: a hint for buffered readers.
            b'.' => return Ok(true),
            // The stack and the memo.
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => self.push(self.top()?),
            b'q' => self.cursor.u8().map(u64::from).and_then(|key| self.remember(key))?,
            b'r' => self.cursor.u32().map(u64::from).and_then(|key| self.remember(key))?,
            0x94 => self.remember(self.memo.len() as u64)?,
            b'h' => self.cursor.u8().map(u64::from).and_then(|key| self.recall(key))?,
            b'j' => self.cursor.u32().map(u64::from).and_then(|key| self.recall(key))?,
            // Plain values.
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => {
                self.cursor.array().map(|bytes| self.push(Value::Int(i32::from_le_bytes(bytes).into())))?
            }
            b'K' => self.cursor.u8().map(|number| self.push(Value::Int(number.into())))?,
            b'M' => self.cursor.u16().map(|number| self.push(Value::Int(number.into())))?,
            0x8a => self.cursor.u8().map(u64::from).and_then(|length| self.long(length))?,
            0x8b => self.cursor.u32().map(u64::from).and_then(|length| self.long(length))?,
            b'G' => self.cursor.take(8).map(|_| self.push(Value::Other("a number")))?,
            b'X' => self.cursor.u32().map(u64::from).and_then(|length| self.text(length))?,
            0x8c => self.cursor.u8().map(u64::from).and_then(|length| self.text(length))?,
            0x8d => self.cursor.u64().and_then(|length| self.text(length))?,
            b'B' | b'T' => self.cursor.u32().map(u64::from).and_then(|length| self.bytes(length))?,
            b'C' | b'U' => self.cursor.u8().map(u64::from).and_then(|length| self.bytes(length))?,
            0x8e | 0x96 => self.cursor.u64().and_then(|length| self.bytes(length))?,
            // Containers.
            b')' => self.build(Object::Tuple(Vec::new())),
            b']' => self.build(Object::List(Vec::new())),
            b'}' => self.build(Object::Dict(Vec::new())),
            b't' => self.pop_to_mark().map(|items| self.build(Object::Tuple(items)))?,
            count @ 0x85..=0x87 => {
                self.pop_many(usize::from(count - 0x84)).map(|items| self.build(Object::Tuple(items)))?
            }
            b'l' => self.pop_to_mark().map(|items| self.build(Object::List(items)))?,
            b'd' => {
                let items = self.pop_to_mark()?;
                let entries = self.pairs(&items)?;
                self.build(Object::Dict(entries));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => self.pop_to_mark().and_then(|items| self.append(&items))?,
            b's' => self.pop_many(2).and_then(|items| self.set_items(&items))?,
            b'u' => self.pop_to_mark().and_then(|items| self.set_items(&items))?,
            0x8f => self.push(Value::Other("a set")),
            0x90 => drop(self.pop_to_mark()?),
            0x91 => self.pop_to_mark().map(|_| self.push(Value::Other("a set")))?,
            // Names, calls and instances.
            b'c' => {
                let (module, name) = (self.cursor.line()?, self.cursor.line()?);
                self.push(Value::Global(Global { module, name }));
            }
            0x93 => match self.pop_many(2)?[..] {
                [Value::Text(module), Value::Text(name)] => self.push(Value::Global(Global { module, name })),
                _ => return Err(self.fault("a name that is not text")),
            },
            b'R' => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let built = globals::call(&mut self.graph, callable, arguments, self.instruction)?;
                self.push(built);
            }
            0x81 => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                self.instance(class, arguments)?;
            }
            0x92 => {
                let (_, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.instance(class, arguments)?;
            }
            b'b' => {
                let (_state, object) = (self.pop()?, self.top()?);
                self.accept_state(object)?;
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = globals::storage(&self.graph, id, self.instruction)?;
                self.build(Object::Storage(storage));
            }
            // INST and OBJ, the instances of protocols 0 and 1.
            b'i' => {
                let (module, name) = (self.cursor.line()?, self.cursor.line()?);
                return Err(globals::refusal(
                    &self.graph,
                    Value::Global(Global { module, name }),
                    &[],
                    self.instruction,
                ));
            }
            b'o' => {
                let items = self.pop_to_mark()?;
                let class = items.first().copied().unwrap_or(Value::None);
                return Err(globals::refusal(&self.graph, class, &[], self.instruction));
            }
            0x82..=0x84 => {
                return Err(self.fault("a class by number, which only the program that wrote it knows"));
            }
            other => return Err(self.fault(format!("unknown instruction 0x{other:02x}"))),
        }
        Ok(false)
    }

    /// `NEWOBJ`: classes on the list are called like functions; any other is what the user must hear about.
    fn instance(&mut self, class: Value<'a>, arguments: Value<'a>) -> Result<(), CheckpointProblem> {
        let built = match globals::call(&mut self.graph, class, arguments, self.instruction) {
            Err(CheckpointProblem::Code { function, offset }) => {
                return Err(CheckpointProblem::Instance { class: function, offset });
            }
            built => built?,
        };
        self.push(built);
        Ok(())
    }

    /// `BUILD`: attributes of dictionaries (`_metadata`) and of things of no interest are dropped.
    fn accept_state(&self, object: Value<'a>) -> Result<(), CheckpointProblem> {
        match (object, self.graph.object(object)) {
            (Value::Other(_), _) | (_, Some(Object::Dict(_) | Object::Tensor(_))) => Ok(()),
            _ => Err(self.fault(format!("attributes for {}", self.graph.kind(object)))),
        }
    }

    fn long(&mut self, length: u64) -> Result<(), CheckpointProblem> {
        let bytes = self.cursor.take(length)?;
        let mut wide = match bytes.last() {
            Some(last) if last & 0x80 != 0 => [0xff; 8],
            _ => [0; 8],
        };
        let value = match wide.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            None => Value::Other("a number"),
        };
        self.push(value);
        Ok(())
    }

    fn text(&mut self, length: u64) -> Result<(), CheckpointProblem> {
        let text = self.cursor.text(length)?;
        self.push(Value::Text(text));
        Ok(())
    }

    /// Python 2's strings come as bytes; those that are text serve as names.
    fn bytes(&mut self, length: u64) -> Result<(), CheckpointProblem> {
        let bytes = self.cursor.take(length)?;
        self.push(std::str::from_utf8(bytes).map_or(Value::Other("bytes"), Value::Text));
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(value);
    }

    fn build(&mut self, object: Object<'a>) {
        let value = self.graph.add(object);
        self.push(value);
    }

    /// The topmost value; what lies below an open mark is out of reach.
    fn top(&self) -> Result<Value<'a>, CheckpointProblem> {
        match self.stack.last() {
            Some(&value) if self.stack.len() > self.floor() => Ok(value),
            _ => Err(self.fault("an empty stack")),
        }
    }

    fn pop(&mut self) -> Result<Value<'a>, CheckpointProblem> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value<'a>>, CheckpointProblem> {
        match self.stack.len().checked_sub(count) {
            Some(height) if height >= self.floor() => Ok(self.stack.split_off(height)),
            _ => Err(self.fault("an empty stack")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, CheckpointProblem> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height.min(self.stack.len()))),
            None => Err(self.fault("no mark")),
        }
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn remember(&mut self, key: u64) -> Result<(), CheckpointProblem> {
        let value = self.top()?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), CheckpointProblem> {
        match self.memo.get(&key) {
            Some(&value) => self.push(value),
            None => return Err(self.fault(format!("nothing remembered under {key}"))),
        }
        Ok(())
    }

    fn pairs(&self, items: &[Value<'a>]) -> Result<Vec<(Value<'a>, Value<'a>)>, CheckpointProblem> {
        match items.as_chunks::<2>() {
            (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
            _ => Err(self.fault("a key without a value")),
        }
    }

    fn append(&mut self, items: &[Value<'a>]) -> Result<(), CheckpointProblem> {
        let target = self.top()?;
        match self.object_mut(target) {
            Some(Object::List(list)) => list.extend_from_slice(items),
            _ => return Err(self.fault(format!("items for {}", self.graph.kind(target)))),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Value<'a>]) -> Result<(), CheckpointProblem> {
        let pairs = self.pairs(items)?;
        let target = self.top()?;
        match self.object_mut(target) {
            Some(Object::Dict(entries)) => entries.extend(pairs),
            _ => return Err(self.fault(format!("entries for {}", self.graph.kind(target)))),
        }
        Ok(())
    }

    fn object_mut(&mut self, value: Value<'a>) -> Option<&mut Object<'a>> {
        match value {
            Value::Object(index) => self.graph.objects.get_mut(index),
            _ => None,
        }
    }

    fn fault(&self, what: impl Into<String>) -> CheckpointProblem {
        CheckpointProblem::Pickle { what: what.into(), offset: self.instruction }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn builds_plain_containers() {
        // {"a": (1, -2, 300), "b": [True, None, "é"]} in protocol 4, with a frame, memo entries and a shared key.
        let bytes = b"\x80\x04\x95\0\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94K\x01J\xfe\xff\xff\xffM\x2c\x01\x87\x8c\x01b](\x88N\x8c\x02\xc3\xa9eu.tail";
        let pickle = run(bytes, 0).unwrap();
        assert_eq!(&bytes[pickle.end..], b"tail");
        let entries = pickle.graph.entries(pickle.top).unwrap();
        assert_eq!(entries[0].0, Value::Text("a"));
        assert_eq!(
            pickle.graph.items(entries[0].1).unwrap(),
            [Value::Int(1), Value::Int(-2), Value::Int(300)]
        );
        assert_eq!(
            pickle.graph.items(entries[1].1).unwrap(),
            [Value::Bool(true), Value::None, Value::Text("é")]
        );
    }

    #[test]
    fn long_numbers_keep_their_sign() {
        for (bytes, expected) in [
            (&b"\x8a\x00."[..], Value::Int(0)),
            (b"\x8a\x01\xff.", Value::Int(-1)),
            (b"\x8a\x05\0\0\0\0\x01.", Value::Int(1 << 32)),
            (b"\x8b\x02\0\0\0\0\x80.", Value::Int(-32768)),
            (b"\x8a\x09\0\0\0\0\0\0\0\0\x01.", Value::Other("a number")),
        ] {
            assert_eq!(run(bytes, 0).unwrap().top, expected);
        }
    }

    #[test]
    fn calls_are_refused_by_name_and_place() {
        for (bytes, expected) in [
            (
                &b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R."[..],
                "would call `os.system` (byte 21 of its pickle)",
            ),
            (b"cbuiltins\neval\n(X\x01\0\0\0xtR.", "would call `builtins.eval` (byte 23"),
            (
                b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R.",
                "would call `posix.system` (byte 23",
            ),
            (
                b"\x80\x02ctorch._utils\n_import_dotted_name\n)R.",
                "would call `torch._utils._import_dotted_name`",
            ),
            (b"\x80\x02csubprocess\nPopen\n)R.", "would call `subprocess.Popen`"),
            (b"\x80\x02cos\nsystem\n)\x81.", "pickled object of class `os.system`"),
            (b"\x80\x02cmodels.net\nNet\n)\x81}b.", "pickled object of class `models.net.Net` (byte 19"),
            (b"\x80\x02cmodels.net\nNet\n)}\x92.", "pickled object of class `models.net.Net`"),
            (
                b"\x80\x02ccopy_reg\n_reconstructor\ncmodels\nNet\nc__builtin__\nobject\nN\x87R.",
                "class `models.Net`",
            ),
            (b"(ios\nsystem\n.", "would call `os.system`"),
            (b"(cos\nsystem\nX\x02\0\0\0lso.", "would call `os.system`"),
            (b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nNN}tR.", "would call `os.system`"),
            (b"(X\x06\0\0\0modulecnet\nNet\nNNtQ.", "class `net.Net`"),
        ] {
            let error = run(bytes, 0).unwrap_err().to_string();
            assert!(error.contains(expected), "expected {expected}, got {error}");
        }
    }

    #[test]
    fn types_that_are_not_read_are_named() {
        for (bytes, expected) in [
            (
                &b"(X\x07\0\0\0storagectorch\nComplexFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQ."[..],
                "stores `storage 0` as torch.ComplexFloatStorage",
            ),
            (
                b"ctorch._utils\n_rebuild_tensor_v3\n((X\x07\0\0\0storagectorch.storage\nUntypedStorage\nX\x01\0\0\x000\
                  X\x03\0\0\0cpuK\x01tQK\0K\x01\x85K\x01\x85\x89}ctorch\nfloat8_e4m3fn\ntR.",
                "stores `storage 0` as torch.float8_e4m3fn",
            ),
        ] {
            let error = run(bytes, 0).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn damage_is_an_error() {
        for (bytes, expected) in [
            (&b""[..], "1 bytes wanted, 0 left at byte 0"),
            (b".", "an empty stack at byte 0"),
            (b"(t", "1 bytes wanted"),
            (b"K\x01(0.", "an empty stack at byte 3"),
            (b"t.", "no mark"),
            (b"h\x07.", "nothing remembered under 7"),
            (b"}(K\x01u.", "a key without a value"),
            (b")(K\x01e.", "items for a tuple"),
            (b"](K\x01K\x01u.", "entries for a list"),
            (b"K\x01)R.", "a call of a number"),
            (b"K\x01}b.", "attributes for a number"),
            (b"X\xff\xff\xff\xffa.", "4294967295 bytes wanted, 2 left"),
            (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", "18446744073709551615 bytes wanted"),
            (b"X\x01\0\0\0\xff.", "text that is not UTF-8"),
            (b"cos", "a name without an end"),
            (b"\x80\x09.", "protocol 9"),
            (b"I1\n.", "unknown instruction 0x49"),
            (b"\x82\x01.", "a class by number"),
            (b"K\x01Q.", "not to a storage"),
            (&b"(".repeat(MAX_ITEMS + 2), "more than any real checkpoint holds"),
            (&b"}".repeat(MAX_ITEMS + 2), "more than any real checkpoint holds"),
        ] {
            let error = run(bytes, 0).unwrap_err().to_string();
            assert!(error.contains(expected), "expected {expected}, got {error}");
        }
    }
}
