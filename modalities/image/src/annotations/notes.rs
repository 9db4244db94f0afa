//! What a user should know and need not mend: how often it was found, and where first.

/// How often something was found, and where first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    count: usize,
    first: Option<String>,
}

impl Counted {
    /// Counts so many more, found in a file.
    pub fn add(&mut self, count: usize, name: &str) {
        if count > 0 {
            self.count += count;
            self.first.get_or_insert_with(|| name.to_owned());
        }
    }

    /// `1` and what one does, or the number and what several do, with the file where the first was found; nothing when none was.
    pub fn note(&self, one: &str, several: &str) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(match self.count {
            1 => format!("1 {one} (`{first}`)"),
            count => format!("{count} {several} (the first in `{first}`)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_decides_the_words() {
        let mut boxes = Counted::default();
        assert_eq!(boxes.note("box", "boxes"), None);
        boxes.add(0, "a.jpg");
        assert_eq!(boxes.note("box", "boxes"), None);
        boxes.add(1, "b.jpg");
        assert_eq!(boxes.note("box", "boxes").as_deref(), Some("1 box (`b.jpg`)"));
        boxes.add(2, "c.jpg");
        assert_eq!(boxes.note("box", "boxes").as_deref(), Some("3 boxes (the first in `b.jpg`)"));
    }
}
