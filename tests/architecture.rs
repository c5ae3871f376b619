//! The order of the modules: data moves forward, and no module imports one from above.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Item, ItemMod, UseTree, Visibility};

/// The modules from top to bottom. Each may use the modules on the lines below its own. Modules on the same line do not
/// use each other.
const FLOORS: [&[&str]; 14] = [
    &["main"],
    &["runtime"],
    &["app"],
    &["dispatch"],
    &["handlers"],
    &["lookup", "delivery"],
    &["services", "turn"],
    &["identity"],
    &["summary"],
    &["telemetry"],
    &["config"],
    &["connect", "sticky_calls", "aws"],
    &["https", "budget", "vocabulary"],
    &["json", "card_numbers", "hash"],
];

/// A file's module: `["services", "cache"]` for `src/services/cache.rs`.
type Module = Vec<String>;

/// The modules of `src/` with their files.
fn modules() -> Vec<(Module, syn::File)> {
    fn collect(folder: &Path, module: &Module, found: &mut Vec<(Module, syn::File)>) {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for path in entries.collect::<BTreeSet<PathBuf>>() {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let module = if name == "mod" { module.clone() } else { [&module[..], &[name]].concat() };
            if path.is_dir() {
                collect(&path, &module, found);
            } else {
                found.push((module, syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &Vec::new(), &mut found);
    found
}

/// The paths in a file's code without its tests: in `use` and elsewhere.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl Visit<'_> for Paths {
    fn visit_item_mod(&mut self, module: &ItemMod) {
        if module.ident != "tests" {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_use_tree(&mut self, tree: &UseTree) {
        fn walk(tree: &UseTree, path: &[String], found: &mut Vec<Vec<String>>) {
            match tree {
                UseTree::Path(part) => walk(&part.tree, &[path, &[part.ident.to_string()]].concat(), found),
                UseTree::Group(group) => group.items.iter().for_each(|tree| walk(tree, path, found)),
                UseTree::Name(name) => found.push([path, &[name.ident.to_string()]].concat()),
                UseTree::Rename(name) => found.push([path, &[name.ident.to_string()]].concat()),
                UseTree::Glob(_) => found.push(path.to_vec()),
            }
        }
        walk(tree, &[], &mut self.0);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }
}

fn paths(file: &syn::File) -> Vec<Vec<String>> {
    let mut paths = Paths::default();
    paths.visit_file(file);
    paths.0
}

/// The names that a module re-exports from its children, with the child.
fn reexports(file: &syn::File) -> BTreeMap<String, String> {
    let uses = file.items.iter().filter_map(|item| match item {
        Item::Use(item) if !matches!(item.vis, Visibility::Inherited) => Some(&item.tree),
        _ => None,
    });
    let mut paths = Paths::default();
    uses.for_each(|tree| paths.visit_use_tree(tree));
    paths.0.into_iter().filter_map(|path| Some((path.last()?.clone(), path.first()?.clone()))).collect()
}

/// Which modules each module uses, without its tests.
fn uses() -> BTreeMap<Module, BTreeSet<Module>> {
    let modules = modules();
    let names: BTreeSet<_> = modules.iter().map(|(module, _)| module.clone()).collect();
    let reexports: BTreeMap<_, _> = modules.iter().map(|(module, file)| (module.clone(), reexports(file))).collect();
    let mut all = BTreeMap::new();
    for (module, file) in &modules {
        let mut used = BTreeSet::new();
        for path in paths(file) {
            let (from, rest): (&[String], _) = match path.first().map(String::as_str) {
                Some("crate" | "sticky_connect") => (&[], &path[1..]),
                Some("super") => (&module[..module.len() - 1], &path[1..]),
                _ => continue,
            };
            // Follow the path down the modules, and then the re-export of the last name.
            let mut target = from.to_vec();
            for name in rest {
                let child = [&target[..], std::slice::from_ref(name)].concat();
                let source = reexports.get(&target).and_then(|names| names.get(name));
                if names.contains(&child) {
                    target = child;
                } else if let Some(source) = source.filter(|source| *source != "crate" && *source != "super") {
                    target.push(source.clone());
                    break;
                }
            }
            if names.contains(&target) && target != *module && !target.is_empty() {
                used.insert(target);
            }
        }
        all.insert(module.clone(), used);
    }
    all
}

#[test]
fn no_module_uses_one_from_above_or_another_edge() {
    let floor = |module: &Module| {
        let name = module.first().unwrap();
        let found = FLOORS.iter().position(|names| names.contains(&name.as_str()));
        found.unwrap_or_else(|| panic!("{name} is on no floor: add it to FLOORS"))
    };
    let uses = uses();
    assert!(uses[&vec!["delivery".to_owned()]].contains(&vec!["services".to_owned(), "outbox".to_owned()]), "{uses:?}");
    for (module, used) in &uses {
        for other in used.iter().filter(|other| other[0] != *module.first().unwrap_or(&String::new())) {
            let is_root = module.is_empty() || module[0] == "lib";
            assert!(is_root || floor(module) < floor(other), "{} uses {}", module.join("::"), other.join("::"));
        }
    }
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let mut left = uses();
    // A folder's own file names its children. A child that uses the folder uses another child.
    while let Some(free) = left.iter().find(|(_, used)| used.iter().all(|other| !left.contains_key(other))) {
        let free = free.0.clone();
        left.remove(&free);
    }
    assert!(left.is_empty(), "these use each other: {left:#?}");
}
