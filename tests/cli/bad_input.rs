//! Data that cannot be used: each ends with its code and one line that says why.

use std::path::Path;

use crate::support::{Place, assert_one_error};

/// A PNG that says it has so many pixels a side, and brings next to none.
fn huge_png(side: u32) -> Vec<u8> {
    let size = [side.to_be_bytes(), side.to_be_bytes()].concat();
    let header = [&b"IHDR"[..], &size, &[8, 2, 0, 0, 0]].concat();
    // A zlib stream that begins.
    let data = [&b"IDAT"[..], &[0x78, 0x01, 0x63, 0x00, 0x00]].concat();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for chunk in [header, data, b"IEND".to_vec()] {
        bytes.extend((chunk.len() as u32 - 4).to_be_bytes());
        bytes.extend(&chunk);
        bytes.extend(crc32(&chunk).to_be_bytes());
    }
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[test]
fn folders_that_are_no_data() {
    let place = Place::new();
    let data = place.draw_few("d", 12);
    let make = |name: &str| std::fs::create_dir_all(place.path(name)).unwrap();
    make("empty");
    make("one/rings");
    std::fs::copy(data.join("rings/00.jpg"), place.path("one/rings/00.jpg")).unwrap();
    make("hollow/rings");
    make("hollow/stars");
    std::fs::copy(data.join("rings/00.jpg"), place.path("hollow/rings/00.jpg")).unwrap();
    for (folder, expected) in [
        ("nowhere", "no such file or folder"),
        ("empty", "no usable photographs"),
        ("one", "one class only, `rings`"),
        ("hollow", "has no usable photograph"),
        ("d/rings", "holds 12 files but no class folders"),
    ] {
        let ended = place.tk(&["image-classify", folder, "--out", "R"]);
        assert_eq!(ended.code, 3, "{folder}: {}", ended.err);
        assert!(ended.err.contains(expected), "{folder}: {}", ended.err);
        assert_one_error(&ended, folder);
        assert!(!place.path("R").exists(), "{folder}");
    }
}

#[test]
fn a_photograph_is_no_data_but_can_be_classified() {
    let place = Place::new();
    place.draw_few("d", 1);
    let ended = place.tk(&["image-classify", "d/rings/00.jpg"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("help: to classify it: tk predict small d/rings/00.jpg"), "{}", ended.err);
}

#[test]
fn damaged_files_are_set_aside_until_there_are_too_many() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage, &str); 4] = [
        (
            "cut.jpg",
            |path| {
                std::fs::write(path, &std::fs::read(path.with_file_name("00.jpg")).unwrap()[..900]).unwrap()
            },
            "",
        ),
        ("text.jpg", |path| std::fs::write(path, "my holiday").unwrap(), "the content is text"),
        ("huge.png", |path| std::fs::write(path, huge_png(20_000)).unwrap(), "20000"),
        ("none.jpg", |path| std::fs::write(path, "").unwrap(), "empty"),
    ];
    for (name, damage, expected) in damages {
        let place = Place::new();
        let data = place.draw_few("d", 12);
        damage(&data.join("stars").join(name));
        place.ok(&["image-classify", "d", "--size", "48", "--out", "R"]);
        let aside = std::fs::read_to_string(place.path("R/quarantine.json")).unwrap();
        assert!(aside.contains(name) && aside.contains(expected), "{name}: {aside}");
        let strict = place.tk(&["image-classify", "d", "--size", "48", "--max-bad", "0", "--out", "S"]);
        assert_eq!(strict.code, 3, "{name}: {}", strict.err);
        assert!(strict.err.contains(name) && strict.err.contains("--max-bad"), "{name}: {}", strict.err);
        assert_one_error(&strict, name);
        // Training leaves it out too, and says so.
        place.ok(&[
            "image-classify",
            "d",
            "--size",
            "48",
            "--mode",
            "partial",
            "--epochs",
            "1",
            "--out",
            "T",
        ]);
        assert!(std::fs::read_to_string(place.path("T/quarantine.json")).unwrap().contains(name));
    }
}

/// An ordinary user may not read the file; root reads everything, so as root the program runs as nobody.
#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_set_aside() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let data = place.draw_few("d", 12);
    let secret = data.join("stars/00.jpg");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::set_permissions(place.path(""), std::fs::Permissions::from_mode(0o777)).unwrap();
    let arguments = ["image-classify", "d", "--size", "48", "--max-bad", "0", "--out", "R"];
    let command = place.command(&arguments);
    let output = if std::fs::read(&secret).is_ok() {
        let mut other = std::process::Command::new("setpriv");
        other
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(command.get_program())
            .args(command.get_args());
        other.current_dir(place.path("")).env("TRANSFERKIT_CACHE", place.path("cache"));
        match other.output() {
            Ok(output) if !String::from_utf8_lossy(&output.stderr).contains("setpriv: ") => output,
            _ => {
                println!("skipped: this is root, and there is no way to be somebody else");
                return;
            }
        }
    } else {
        place.command(&arguments).output().unwrap()
    };
    let ended = crate::support::ended(&output);
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(ended.err.contains("stars/00.jpg") && ended.err.contains("ermission denied"), "{}", ended.err);
    assert_one_error(&ended, "unreadable");
}
