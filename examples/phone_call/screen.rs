//! Lines and tables that fit the terminal.

use std::io::{self, IsTerminal, Write};

use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

/// How wide the names on the left are.
const NAMES: usize = 15;

/// The longest value in a table that shares its line with another one.
const SHORT: usize = 17;

/// The longest name that long values are aligned to.
const WIDE: usize = 24;

/// The room that a text needs beside what it belongs to: that of an id.
const ROOM: usize = 36;

/// What a table's lines begin with.
const BAR: &str = "  │ ";

/// The terminal, a file or a pipe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    width: usize,
    has_colours: bool,
}

/// A colour, as a [terminal's
/// code](https://en.wikipedia.org/wiki/ANSI_escape_code#Select_Graphic_Rendition_parameters).
#[derive(Clone, Copy, Debug)]
enum Colour {
    Bold = 1,
    Dim = 2,
    Cyan = 36,
}

impl Screen {
    /// Standard output: as wide as `COLUMNS` says, else as the terminal, else 80 columns. It has colours if it is a
    /// terminal and [`NO_COLOR`](https://no-color.org) is not set.
    pub(crate) fn of_this_terminal() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let width = columns.unwrap_or_else(|| if is_terminal { textwrap::termwidth() } else { 80 });
        let no_colours = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        // Longer lines are hard to read.
        Self { width: width.clamp(20, 100), has_colours: is_terminal && !no_colours }
    }

    /// Begins something new.
    pub(crate) fn title(self, text: &str) -> io::Result<()> {
        let text = one_line(text);
        let lines = textwrap::wrap(&text, self.options());
        let lines: Vec<_> = lines.iter().map(|line| self.paint(Colour::Bold, line)).collect();
        print(&format!("\n{}\n", lines.join("\n")))
    }

    /// A paragraph.
    pub(crate) fn text(self, text: &str) -> io::Result<()> {
        print(&textwrap::fill(text, self.options()))
    }

    /// A command, never wrapped, so that it can be copied.
    pub(crate) fn command(self, command: &str) -> io::Result<()> {
        print(&format!("\n  {}\n", self.paint(Colour::Cyan, command)))
    }

    /// Who does something, and what.
    pub(crate) fn line(self, who: &str, what: &str) -> io::Result<()> {
        let what = if is_blank(what) { "nothing" } else { what };
        self.hanging(&format!("  {who:>NAMES$}  "), Colour::Cyan, what)
    }

    /// Names and values: short values in two columns, then the long ones, and at last the names of the empty ones.
    pub(crate) fn table(self, rows: &[(String, String)]) -> io::Result<()> {
        // Before anything is measured: what can't be printed has no width.
        let rows: Vec<_> = rows.iter().map(|(name, value)| (one_line(name), one_line(value))).collect();
        let (empty, filled): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, value)| is_blank(value));
        let (short, long): (Vec<_>, Vec<_>) = filled.into_iter().partition(|(_, value)| display_width(value) <= SHORT);
        let names_of = |rows: &[&(String, String)]| rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        // Both parts begin their values in the same column, unless that leaves little room for the long ones.
        let all = names_of(&short).max(names_of(&long));
        let (names_above, names) = if all <= WIDE { (all, all) } else { (names_of(&short), names_of(&long)) };
        self.grid(&short, names_above)?;
        for (name, value) in long {
            self.hanging(&format!("{BAR}{name:names$}  "), Colour::Dim, value)?;
        }
        if !empty.is_empty() {
            let empty: Vec<_> = empty.iter().map(|(name, _)| name.as_str()).collect();
            self.hanging(&format!("{BAR}empty: "), Colour::Dim, &empty.join(", "))?;
        }
        Ok(())
    }

    /// Rows in two columns, to be read downwards, if they fit; else in one. In the first column the names take as many
    /// characters as `names`.
    fn grid(self, rows: &[&(String, String)], names: usize) -> io::Result<()> {
        let (left, right) = rows.split_at(rows.len().div_ceil(2));
        let widest = |rows: &[&(String, String)], text: fn(&(String, String)) -> &str| {
            rows.iter().map(|row| display_width(text(row))).max().unwrap_or_default()
        };
        let (values, other_names) = (widest(left, |row| &row.1), widest(right, |row| &row.0));
        let width = BAR.chars().count() + names + 2 + values + 2 + other_names + 2 + widest(right, |row| &row.1);
        let (left, right) = if width <= self.width { (left, right) } else { (rows, &rows[..0]) };
        for (number, (name, value)) in left.iter().enumerate() {
            let begin = format!("{BAR}{name:names$}  ");
            match right.get(number) {
                None => self.hanging(&begin, Colour::Dim, value)?,
                Some((other, its_value)) => {
                    let begin = self.paint(Colour::Dim, &begin);
                    let other = self.paint(Colour::Dim, &format!("{other:other_names$}  "));
                    print(&format!("{begin}{value:values$}  {other}{its_value}"))?;
                }
            }
        }
        Ok(())
    }

    /// A text that begins after `begin`, and goes on below its own beginning.
    fn hanging(self, begin: &str, colour: Colour, text: &str) -> io::Result<()> {
        let text = one_line(text);
        let indent = display_width(begin);
        let rest = if begin.starts_with(BAR) { format!("{BAR:indent$}") } else { " ".repeat(indent) };
        // In a narrow terminal the text goes below what it belongs to.
        if indent + display_width(&text).min(ROOM) > self.width {
            if !begin.trim().is_empty() {
                print(&format!("  {}", self.paint(colour, begin.trim())))?;
            }
            return print(&textwrap::fill(&text, self.options().initial_indent("    ").subsequent_indent("    ")));
        }
        let (begin, rest) = (self.paint(colour, begin), self.paint(colour, &rest));
        print(&textwrap::fill(&text, self.options().initial_indent(&begin).subsequent_indent(&rest)))
    }

    /// Without hyphenation: names and ids stay whole.
    fn options<'a>(self) -> Options<'a> {
        Options::new(self.width).word_splitter(WordSplitter::NoHyphenation)
    }

    fn paint(self, colour: Colour, text: &str) -> String {
        if self.has_colours { format!("\x1b[{}m{text}\x1b[0m", colour as u8) } else { text.to_owned() }
    }
}

/// A text of others, made fit for a line: it must not change the terminal, and nothing in it may vanish. Line breaks
/// become spaces, other control characters U+FFFD.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(char::is_whitespace, " ").replace(char::is_control, "\u{fffd}")
}

/// Whether nobody can see anything of a text.
pub(crate) fn is_blank(text: &str) -> bool {
    text.split_whitespace().all(|word| display_width(word) == 0)
}

/// Prints to standard output.
///
/// # Errors
///
/// Fails with an error of the same kind, which says what could not be written.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("cannot write to standard output: {error}"));
    writeln!(io::stdout(), "{text}").map_err(failed)
}
