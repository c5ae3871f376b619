//! What is generated from the code and the flows: the tables in the documents, the words for the template's tests, the
//! copies of the flows in the template, and their pictures in `docs/flows.md`.
//!
//! A test fails if one of them is out of date. `UPDATE=1 cargo test --test generated` updates them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use stand_ins::flows::attributes::{Kind, placeholder};
use stand_ins::flows::{Flow, picture, texts};
use sticky_connect::budget;
use sticky_connect::services::outbox;
use sticky_connect::vocabulary::{
    Action, Degradation, Handler, IdentifyAttribute, LookupStatus, Metric, NAMESPACE, Reason, SaveAttribute,
    SaveStatus, Setting, Status, StatusMetric, SummaryFailure,
};

const REFERENCE: &str = "docs/reference.md";
const OPERATIONS: &str = "docs/operations.md";
const FLOWS: &str = "docs/flows.md";

/// Asserts that `renewed` changes nothing in the file. With `UPDATE` set, writes the result to the file instead.
fn check(file: &str, renewed: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let now = std::fs::read_to_string(&path).unwrap_or_default();
    let renewed = renewed(&now);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, renewed).unwrap();
    } else {
        assert!(now == renewed, "{file} is out of date: UPDATE=1 cargo test --test generated");
    }
}

/// The rows of a table.
type Rows = Vec<Vec<String>>;

/// The document with this table between the lines `<!-- generated: name -->` and `<!-- end of name -->`.
fn with_table(document: &str, name: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("there is no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("there is no {end}"));
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head_line = line(&head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    let table = head_line
        + &format!("|{}\n", "---|".repeat(head.len()))
        + &rows.iter().map(|row| line(row)).collect::<String>();
    format!("{before}{begin}\n{table}\n{end}{after}")
}

fn code(word: &str) -> String {
    format!("`{word}`")
}

/// A row of a word as code, then texts.
fn row(word: &str, texts: &[&str]) -> Vec<String> {
    std::iter::once(code(word)).chain(texts.iter().map(|text| (*text).to_owned())).collect()
}

#[test]
fn the_reference_has_every_word_and_no_others() {
    let mut identify: Vec<_> = IdentifyAttribute::ALL
        .iter()
        .map(|attribute| row(attribute.as_str(), &[attribute.meaning(), attribute.fallback()]))
        .collect();
    let variable = "Each variable that `STICKY_CALLS_VARIABLES` names: one line of at most 250 characters.";
    identify.push(row("var_<name>", &[variable, "empty"]));
    let save: Vec<_> = SaveAttribute::ALL.iter().map(|word| row(word.as_str(), &[word.meaning()])).collect();
    let lookups: Vec<_> = LookupStatus::ALL.iter().map(|word| row(word.as_str(), &[word.meaning()])).collect();
    let saves: Vec<_> = SaveStatus::ALL.iter().map(|word| row(word.as_str(), &[word.meaning()])).collect();
    let degradations: Vec<_> = Degradation::ALL.iter().map(|word| row(word.as_str(), &[word.meaning()])).collect();
    let failures: Vec<_> = SummaryFailure::ALL.iter().map(|word| row(word.as_str(), &[word.meaning()])).collect();
    let metrics: Vec<_> = Metric::ALL
        .iter()
        .map(|metric| {
            let dimensions = if metric.handlers().is_empty() { "`service`" } else { "`service`, `handler`" };
            let reasons = Reason::ALL.iter().filter(|reason| reason.needs_an_operator()).map(|reason| reason.as_str());
            let reasons = reasons.filter(|_| *metric == Metric::NeedsOperator);
            let degradations =
                Degradation::ALL.iter().filter(|known| known.total() == *metric).map(|known| known.as_str());
            let parts: Vec<_> = reasons.chain(degradations).map(code).collect();
            let parts = if parts.is_empty() { String::new() } else { format!(" It counts {}.", parts.join(", ")) };
            row(metric.as_str(), &[metric.unit().as_str(), dimensions, &format!("{}{parts}", metric.meaning())])
        })
        .collect();
    let settings = Setting::ALL.iter().map(|setting| {
        let default = setting.form().default;
        let default = if default.is_empty() { String::new() } else { code(default) };
        row(setting.as_str(), &[&default, setting.meaning()])
    });
    let settings: Vec<_> = settings.collect();
    check(REFERENCE, |document| {
        let tables: [(&str, &[&str], &Rows); 8] = [
            ("identify-attributes", &["`$.External.…`", "value", "fallback"], &identify),
            ("lookup-statuses", &["`lookup_status`", "when"], &lookups),
            ("save-attributes", &["`$.External.…`", "value"], &save),
            ("save-statuses", &["`save_status`", "when"], &saves),
            ("degradations", &["degradation", "what happened"], &degradations),
            ("summary-failures", &["`failure_code`", "why"], &failures),
            ("metrics", &["metric", "unit", "dimensions", "what it is"], &metrics),
            ("settings", &["variable", "default", "meaning"], &settings),
        ];
        tables
            .into_iter()
            .fold(document.to_owned(), |document, (name, head, rows)| with_table(&document, name, head, rows))
    });
}

#[test]
fn the_operations_page_explains_every_reason_and_what_to_do() {
    let rows: Vec<_> =
        Reason::ALL.iter().map(|reason| row(reason.as_str(), &[reason.meaning(), reason.what_to_do()])).collect();
    let head = ["`lookup_reason`, `error`", "what happened", "what to do"];
    check(OPERATIONS, |document| with_table(document, "what-to-do", &head, &rows));
}

#[test]
fn the_vocabulary_for_the_templates_tests_is_the_codes() {
    let words = |word: &'static str, meaning: &'static str| json!({"name": word, "meaning": meaning});
    let metric = |name: &str, unit: &str, handlers: &[&str], kind: &str| {
        let dimensions: &[&str] = if handlers.is_empty() { &["service"] } else { &["service", "handler"] };
        json!({"name": name, "unit": unit, "dimensions": dimensions, "handlers": handlers, "kind": kind})
    };
    let handlers: Vec<_> = Handler::ALL
        .iter()
        .map(|handler| {
            let statuses = Status::of(*handler).into_iter().map(Status::as_str).collect::<Vec<_>>();
            json!({"name": handler.as_str(), "meaning": handler.meaning(), "statuses": statuses})
        })
        .collect();
    let mut metrics: Vec<Value> = Vec::new();
    for handler in Handler::ALL {
        let counted = StatusMetric::of(*handler).into_iter().map(|metric| metric.status.as_str());
        metrics.extend(counted.map(|status| metric(status, "Count", &[handler.as_str()], "status")));
    }
    metrics.extend(Metric::ALL.iter().map(|known| {
        let handlers: Vec<_> = known.handlers().iter().map(|handler| handler.as_str()).collect();
        metric(known.as_str(), known.unit().as_str(), &handlers, if known.is_a_total() { "total" } else { "measure" })
    }));
    metrics.extend(Reason::ALL.iter().map(|reason| metric(reason.as_str(), "Count", &[], "reason")));
    metrics.extend(Degradation::ALL.iter().map(|known| metric(known.as_str(), "Count", &[], "degradation")));
    metrics.extend(SummaryFailure::ALL.iter().map(|known| metric(known.as_str(), "Count", &[], "summary_failure")));
    let attributes = IdentifyAttribute::ALL.iter().map(|attribute| (Handler::StartCall, attribute.as_str()));
    let attributes =
        attributes.chain(SaveAttribute::ALL.iter().map(|attribute| (Handler::EndCall, attribute.as_str())));
    let vocabulary = json!({
        "namespace": NAMESPACE,
        "handlers": handlers,
        "reasons": Reason::ALL.iter().map(|word| words(word.as_str(), word.meaning())).collect::<Vec<_>>(),
        "degradations": Degradation::ALL.iter().map(|word| words(word.as_str(), word.meaning())).collect::<Vec<_>>(),
        "metrics": metrics,
        "settings": Setting::ALL.iter().map(|setting| {
            json!({"name": setting.as_str(), "default": setting.form().default, "meaning": setting.meaning()})
        }).collect::<Vec<_>>(),
        "attributes": attributes.map(|(handler, name)| json!({"name": name, "handler": handler.as_str()})).collect::<Vec<_>>(),
        "outbox": {"max_receives": outbox::MAX_RECEIVES, "longest_wait_s": outbox::LONGEST_WAIT.as_secs(),
            "share_ms": budget::OUTBOX.as_millis()},
    });
    check("tests/template/vocabulary.json", |_| format!("{vocabulary:#}\n"));
}

#[test]
fn the_documents_name_no_setting_that_does_not_exist() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = std::fs::read_dir(folder.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    for path in documents.chain([folder.join("README.md"), folder.join("CONTRIBUTING.md")]) {
        let text = std::fs::read_to_string(&path).unwrap();
        let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
        for word in words.filter(|word| word.starts_with("STICKY_CALLS_") && !word.ends_with('_')) {
            assert!(Setting::parse(word).is_some(), "{}: {word}", path.display());
        }
    }
}

/// Words in the documents that are not the vocabulary's: what flows pass in and store, the API's own, fields of the log.
const OTHER_WORDS: [&str; 34] = [
    "agent_notes",
    "agent_was_there",
    "api_key",
    "call_date",
    "call_summary",
    "callback_requested",
    "caller_ends_in",
    "caller_number",
    "contact_id",
    "contact_lens",
    "contact_lens_consent",
    "customer_id",
    "disconnect_flow",
    "earlier_issue",
    "earlier_issue_date",
    "failure_code",
    "general_inquiry",
    "intent_status",
    "line_type",
    "queue_arn",
    "queue_flow",
    "request_id",
    "returning_threshold",
    "stack_name",
    "sticky_calls_opt_out",
    "sticky_calls_saved",
    "summarised_contact",
    "total_ms",
    "var_call_date",
    "var_earlier_issue",
    "var_name",
    "var_resolution",
    "var_tier",
    "very_high",
];

#[test]
fn the_documents_and_their_queries_name_no_word_that_does_not_exist() {
    let mut known: BTreeSet<&str> = Metric::ALL.iter().map(|word| word.as_str()).collect();
    known.extend(Reason::ALL.iter().map(|word| word.as_str()));
    known.extend(Degradation::ALL.iter().map(|word| word.as_str()));
    known.extend(IdentifyAttribute::ALL.iter().map(|word| word.as_str()));
    known.extend(SaveAttribute::ALL.iter().map(|word| word.as_str()));
    known.extend(LookupStatus::ALL.iter().map(|word| word.as_str()));
    known.extend(SaveStatus::ALL.iter().map(|word| word.as_str()));
    known.extend(Handler::ALL.iter().map(|word| word.as_str()));
    known.extend(Action::WORDS.iter().map(|(word, _)| *word));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["README.md", REFERENCE, OPERATIONS, "docs/cost.md", "template.yaml"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let is_word = |word: &&str| {
            word.contains('_') && !word.ends_with('_') && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        for word in text.split('`').skip(1).step_by(2).filter(is_word) {
            assert!(known.contains(word) || OTHER_WORDS.contains(&word), "{file}: {word}");
        }
        // What a query of the log compares a field with.
        let queries = text.lines().filter(|line| line.contains("filter ") && !line.contains("|---"));
        for word in queries.flat_map(|line| line.split(['"', '\'']).skip(1).step_by(2)) {
            let is_lower = !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(!is_lower || known.contains(word), "{file}, in a query: {word}");
        }
    }
}

/// The most functions that one way through a flow invokes, its modules' included.
fn invocations(flow: &Flow, flows: &[Flow]) -> usize {
    let mut seen: BTreeSet<(&str, usize)> = BTreeSet::new();
    let mut open = vec![(flow.start.as_str(), 0)];
    while let Some((block, before)) = open.pop() {
        let action = flow.action(block).unwrap();
        let module = action.parameters["FlowModuleId"].as_str().and_then(placeholder);
        let here = match (action.action_type.as_str(), module) {
            ("InvokeLambdaFunction", _) => 1,
            (_, Some(Kind::Module(Some(file)))) => {
                invocations(flows.iter().find(|flow| flow.name == file).unwrap(), flows)
            }
            _ => 0,
        };
        let invoked = before + here;
        assert!(invoked < 10, "{} invokes functions without end", flow.name);
        if seen.insert((block, invoked)) {
            open.extend(action.targets().map(|target| (target, invoked)));
        }
    }
    seen.into_iter().map(|(_, invoked)| invoked).max().unwrap_or_default()
}

fn flows() -> Vec<Flow> {
    texts().iter().map(|(name, text)| Flow::parse(name, text).unwrap()).collect()
}

#[test]
fn the_template_deploys_the_flows_as_they_are() {
    // Each flow's content is between the quotes of the line after `# flows/<name>.json`.
    check("template.yaml", |template| {
        flows().iter().fold(template.to_owned(), |text, flow| {
            let marker = format!("# flows/{}.json\n", flow.name);
            let (before, after) = text.split_once(&marker).unwrap_or_else(|| panic!("there is no {marker}"));
            let (line, after) = after.split_once('\n').unwrap();
            let (key, _) = line.split_once('\'').unwrap_or_else(|| panic!("there are no quotes after {marker}"));
            // Between single quotes, YAML requires only single quotes to be doubled.
            format!("{before}{marker}{key}'{}'\n{after}", flow.content().replace('\'', "''"))
        })
    });
}

#[test]
fn the_documents_show_the_flows_and_what_they_cost() {
    let flows = flows();
    let costs: Vec<_> = flows
        .iter()
        .map(|flow| row(&flow.name, &[&flow.actions.len().to_string(), &invocations(flow, &flows).to_string()]))
        .collect();
    let head = ["flow or module", "blocks", "functions invoked at most"];
    // Each flow's picture is in the block after `<!-- flows/<name>.json -->`.
    let with_picture = |text: String, flow: &Flow| {
        let marker = format!("<!-- flows/{}.json -->\n\n```mermaid\n", flow.name);
        let (before, after) = text.split_once(&marker).unwrap_or_else(|| panic!("there is no {marker}"));
        let (_, after) = after.split_once("```\n").unwrap();
        format!("{before}{marker}{}\n```\n{after}", picture::draw(flow))
    };
    check(FLOWS, |document| flows.iter().fold(with_table(document, "flow-costs", &head, &costs), with_picture));
}
