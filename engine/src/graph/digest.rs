//! A graph's fingerprint, for cache keys.

use super::Graph;

impl Graph {
    /// A digest of everything that decides what the graph computes: operators, wiring, parameter names and shapes, outputs.
    /// Hexadecimal BLAKE3. Equal graphs have equal digests; the text it is made from is the graph's own debug form.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for node in &self.nodes {
            hasher.update(format!("{:?}\n", node).as_bytes());
        }
        for part in
            [format!("{:?}", self.inputs), format!("{:?}", self.parameters), format!("{:?}", self.outputs)]
        {
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}
