//! Two places hold what is made from the flows: the template, which deploys them, and `docs/flows.md`, which shows them.
//! `cargo run --package stand-ins --bin flows` brings both up to date, and a test fails where they are not.

use std::path::PathBuf;

use super::{Flow, picture};

/// A file that holds something made from the flows.
pub struct Copy {
    /// Its name in the repository.
    pub file: &'static str,
    renewed: fn(&str, &[Flow]) -> String,
}

/// The files.
pub const COPIES: [Copy; 2] =
    [Copy { file: "template.yaml", renewed: template }, Copy { file: "docs/flows.md", renewed: pictures }];

impl Copy {
    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(self.file)
    }

    /// What the file holds, and what it should.
    ///
    /// # Panics
    ///
    /// Where it can't be read, or has no place for a flow.
    pub fn now_and_renewed(&self, flows: &[Flow]) -> (String, String) {
        let path = self.path();
        let now = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let renewed = (self.renewed)(&now, flows);
        (now, renewed)
    }
}

/// The template, with each flow's content between the quotes of the line after `# flows/<name>.json`.
fn template(text: &str, flows: &[Flow]) -> String {
    flows.iter().fold(text.to_owned(), |text, flow| {
        let marker = format!("# flows/{}.json\n", flow.name);
        let (before, after) = text.split_once(&marker).unwrap_or_else(|| panic!("template.yaml has no {marker}"));
        let (line, after) = after.split_once('\n').expect("a line after it");
        let (key, _) = line.split_once('\'').unwrap_or_else(|| panic!("template.yaml: no quotes after {marker}"));
        // A single quote is the only character that YAML wants doubled between single quotes.
        format!("{before}{marker}{key}'{}'\n{after}", flow.content().replace('\'', "''"))
    })
}

/// The page, with each flow's picture in the block after `<!-- flows/<name>.json -->`.
fn pictures(text: &str, flows: &[Flow]) -> String {
    flows.iter().fold(text.to_owned(), |text, flow| {
        let marker = format!("<!-- flows/{}.json -->\n\n```mermaid\n", flow.name);
        let (before, after) = text.split_once(&marker).unwrap_or_else(|| panic!("docs/flows.md has no {marker}"));
        let (_, after) = after.split_once("```\n").expect("the end of the block");
        format!("{before}{marker}{}\n```\n{after}", picture::draw(flow))
    })
}
