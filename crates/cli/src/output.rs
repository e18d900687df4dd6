//! All output passes through here. No printed character acts on the terminal, and no name is wider than the terminal.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufWriter, StderrLock, StdoutLock, Write};
use std::sync::LazyLock;

use console::Term;
use regex::{Captures, Regex};
use serde::Serialize;
use serde_json::{Map, Value};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Characters that a terminal acts on or does not draw: control and format characters, line and paragraph separators,
/// and everything else that Unicode marks as ignorable.
static UNSEEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]").expect("a class of characters")
});

/// Standard output or standard error.
pub(crate) struct Output<W> {
    writer: W,
    /// The terminal's width in columns; `None` if this is not a terminal.
    columns: Option<usize>,
}

pub(crate) fn stdout() -> Output<BufWriter<StdoutLock<'static>>> {
    Output { writer: BufWriter::new(io::stdout().lock()), columns: columns(&Term::stdout()) }
}

pub(crate) fn stderr() -> Output<StderrLock<'static>> {
    Output { writer: io::stderr().lock(), columns: columns(&Term::stderr()) }
}

fn columns(terminal: &Term) -> Option<usize> {
    terminal.size_checked().map(|(_, columns)| columns.into())
}

impl<W: Write> Output<W> {
    pub(crate) fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Prints any text as one line, and shortens words that are wider than the terminal.
    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        let text = text.to_string();
        let text = escaped(&text);
        let Some(columns) = self.columns.filter(|&columns| width(&text) > columns) else {
            return self.row(&text);
        };
        // A word that wide is a name or a path. We shorten it to half of the terminal, which leaves space for the other
        // words.
        let short = |word| if width(word) > columns { shortened(word, columns / 2) } else { word.into() };
        self.row(&text.split(' ').map(short).collect::<Vec<_>>().join(" "))
    }

    /// Prints one line whose names the caller has already shortened.
    pub(crate) fn row(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.writer, "{}", escaped(text))
    }

    /// Prints an object as JSON that reads back as the same object.
    pub(crate) fn json(&mut self, object: Map<String, Value>) -> io::Result<()> {
        self.json_text(&serde_json::to_string_pretty(&Value::Object(object))?)
    }

    /// The same on one line.
    pub(crate) fn json_line(&mut self, object: &impl Serialize) -> io::Result<()> {
        self.json_text(&serde_json::to_string(object)?)
    }

    fn json_text(&mut self, text: &str) -> io::Result<()> {
        let unit = |unit: u16| format!("\\u{unit:04x}");
        let escape = |found: &Captures<'_>| found[0].encode_utf16().map(unit).collect::<String>();
        // Only strings contain such characters, apart from line breaks, which the formatter adds.
        text.lines().try_for_each(|line| writeln!(self.writer, "{}", UNSEEN.replace_all(line, escape)))
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Writes unseen characters as `\n`, `\u{1b}` and the like.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    UNSEEN.replace_all(text, |found: &Captures<'_>| found[0].escape_default().to_string())
}

/// The width of a text in columns.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text if it fits into this many columns, else its beginning and its end.
pub(crate) fn shortened(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return text.into();
    }
    let of = |c: char| c.width().unwrap_or(0);
    let fits = |room: usize| {
        let mut taken = 0;
        move |&c: &char| {
            taken += of(c);
            taken <= room
        }
    };
    let room = columns.saturating_sub(1);
    let head: usize = text.chars().take_while(fits(room.div_ceil(2))).map(char::len_utf8).sum();
    let tail: usize = text.chars().rev().take_while(fits(room / 2)).map(char::len_utf8).sum();
    // A combining mark whose letter is cut off would appear on the ellipsis.
    let tail = text[text.len() - tail..].trim_start_matches(|c| of(c) == 0);
    format!("{}…{tail}", &text[..head]).into()
}
