//! Rows whose inputs are paths of files.

use std::collections::BTreeMap;
use std::path::Path;

use super::Listing;

impl Listing {
    /// Makes the inputs of rows paths relative to `folder`, with `/` between parts, as tables that were made on Windows do not have them.
    /// Rows of files that are not there, or stand in an earlier row, are set aside.
    pub fn resolve_files(&mut self, folder: &Path) {
        let mut seen: BTreeMap<String, (String, String)> = BTreeMap::new();
        for mut row in std::mem::take(&mut self.samples) {
            row.input = path_in(folder, row.input.trim());
            match seen.get(&row.input) {
                Some((first, label)) => {
                    let reason = format!("`{}` stands in {first} already, as `{label}`", row.input);
                    self.quarantine.add(row.name, reason);
                }
                None if !folder.join(&row.input).is_file() => {
                    self.quarantine.add(row.name, format!("no such file: `{}`", row.input));
                }
                None => {
                    seen.insert(row.input.clone(), (row.name.clone(), row.labels.join(", ")));
                    self.samples.push(row);
                }
            }
        }
    }
}

fn path_in(folder: &Path, cell: &str) -> String {
    let path = match cell.contains('\\') && !folder.join(cell).is_file() {
        true => cell.replace('\\', "/"),
        false => cell.to_owned(),
    };
    path.trim_start_matches("./").to_owned()
}
