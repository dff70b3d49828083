//! `drills.toml`: one table per planted bug.
//!
//! Only the part of TOML the file needs is read: `[[drill]]` tables whose values are strings in
//! `"..."` (with `\"`, `\\` and `\n`), `'...'` or `'''...'''`. Anything else is an error, so a
//! typing mistake cannot silently drop a drill.

use std::collections::BTreeMap;

use crate::failure::Failure;

/// One planted bug and the test that must notice it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// What a person calls it: `cargo xtask drill NAME`.
    pub(crate) name: String,
    /// The file to change, relative to the root.
    pub(crate) file: String,
    /// The text to replace; it must stand in the file exactly once.
    pub(crate) replace: String,
    /// What to put there: the bug.
    pub(crate) with: String,
    /// The package whose test must fail.
    pub(crate) package: String,
    /// Where that test is: `lib`, the name of a file in the package's `tests`, or everywhere.
    pub(crate) target: Option<String>,
    /// The features the tests are built with, besides the default ones; none when left out.
    pub(crate) features: Option<String>,
    /// The test, as a filter for the test harness.
    pub(crate) test: String,
    /// What would go wrong for a user.
    pub(crate) why: String,
}

/// The keys and values of one `[[drill]]`.
type Table = BTreeMap<String, String>;

/// Reads every drill of the file.
pub(crate) fn read(text: &str) -> Result<Vec<Recipe>, Failure> {
    let mut recipes: Vec<Recipe> = Vec::new();
    for (line, table) in tables(text)? {
        let recipe = recipe(table)
            .map_err(|problem| Failure::new(format!("drills.toml:{line}: {problem}")))?;
        if recipes.iter().any(|have| have.name == recipe.name) {
            let name = recipe.name;
            return Err(Failure::new(format!("drills.toml:{line}: '{name}' is there twice")));
        }
        recipes.push(recipe);
    }
    Ok(recipes)
}

fn recipe(mut table: Table) -> Result<Recipe, String> {
    let mut required = |key: &str| {
        table.remove(key).filter(|text| !text.is_empty()).ok_or_else(|| format!("no '{key}'"))
    };
    let recipe = Recipe {
        name: required("name")?,
        file: required("file")?,
        replace: required("replace")?,
        package: required("package")?,
        test: required("test")?,
        why: required("why")?,
        with: table.remove("with").ok_or("no 'with'")?,
        target: table.remove("target"),
        features: table.remove("features"),
    };
    match table.into_keys().next() {
        Some(key) => Err(format!("'{key}' is no key of a drill")),
        None if recipe.replace == recipe.with => Err("'replace' and 'with' are the same".into()),
        None => Ok(recipe),
    }
}

/// The `[[drill]]` tables with the line each starts on, counted from 1.
fn tables(text: &str) -> Result<Vec<(usize, Table)>, Failure> {
    let mut tables: Vec<(usize, Table)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let number = text[..text.len() - rest.len()].matches('\n').count() + 1;
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            rest = after;
        } else if trimmed == "[[drill]]" {
            tables.push((number, Table::new()));
            rest = after;
        } else {
            let wrong =
                |what: &str| Failure::new(format!("drills.toml:{number}: {what}: {trimmed}"));
            let (key, value) = rest.split_once('=').ok_or_else(|| wrong("no key"))?;
            let (value, after) = string(value.trim_start_matches(' '))
                .ok_or_else(|| wrong("the value is no string this file may hold"))?;
            let (_, table) = tables.last_mut().ok_or_else(|| wrong("outside of a [[drill]]"))?;
            if table.insert(key.trim().to_owned(), value).is_some() {
                return Err(wrong("the key is there twice"));
            }
            rest = after;
        }
    }
    Ok(tables)
}

/// Reads one string value and returns it with what follows its line.
fn string(text: &str) -> Option<(String, &str)> {
    let (value, rest) = if let Some(body) = text.strip_prefix("'''") {
        let body = body.strip_prefix('\n').unwrap_or(body);
        let (value, rest) = body.split_once("'''")?;
        (value.to_owned(), rest)
    } else if let Some(body) = text.strip_prefix('\'') {
        let (value, rest) = body.split_once('\'')?;
        (value.to_owned(), rest)
    } else {
        basic(text.strip_prefix('"')?)?
    };
    let (tail, after) = rest.split_once('\n').unwrap_or((rest, ""));
    let tail = tail.trim();
    (tail.is_empty() || tail.starts_with('#')).then_some((value, after))
}

fn basic(body: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &body[at + 1..])),
            '\n' => return None,
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
# A comment.
[[drill]]
name = "one"
file = 'crates/a/src/b.rs'
replace = '''
    if credit == 0 {
        return;
    }'''
with = ""   # nothing at all
package = "eventhubs-amqp"
target = "lib"
test = "never_sends_without_credit"
why = "says \"no\"\nand means it"
"#;

    #[test]
    fn reads_every_kind_of_string() {
        let recipes = read(GOOD).expect("the file is right");
        assert_eq!(recipes.len(), 1);
        let recipe = &recipes[0];
        assert_eq!(recipe.replace, "    if credit == 0 {\n        return;\n    }");
        assert_eq!(recipe.with, "");
        assert_eq!(recipe.target.as_deref(), Some("lib"));
        assert_eq!(recipe.features, None);
        let text = GOOD.replace("target = ", "features = 'entra'\ntarget = ");
        let recipes = read(&text).expect("the file is right");
        assert_eq!(recipes[0].features.as_deref(), Some("entra"));
        assert_eq!(recipe.why, "says \"no\"\nand means it");
    }

    #[test]
    fn every_mistake_is_named() {
        let broken = [
            (GOOD.replace("why = ", "wy = "), "no 'why'"),
            (GOOD.replace("target = ", "traget = "), "'traget' is no key"),
            (GOOD.replace("\"lib\"", "lib"), "no string"),
            (GOOD.replace("'''\nwith", "\nwith"), "no string"),
            (GOOD.replace("[[drill]]", "[drill]"), "outside"),
            (GOOD.replace("[[drill]]", ""), "outside"),
            (format!("{GOOD}{GOOD}"), "twice"),
            (format!("{GOOD}why = 'again'"), "twice"),
            (GOOD.replace("name = \"one\"", "name = \"\""), "no 'name'"),
        ];
        for (text, expected) in broken {
            let failure = read(&text).expect_err(expected).to_string();
            assert!(failure.contains(expected), "{failure} does not say {expected}");
        }
    }

    #[test]
    fn the_file_of_this_repository_reads() {
        let workspace = crate::workspace::Workspace::find().expect("we are in the workspace");
        let text = workspace.read("drills.toml").expect("the file is there");
        for recipe in read(&text).expect("the file is right") {
            let file = workspace.read(&recipe.file).expect("the file to change is there");
            assert_eq!(
                file.matches(&recipe.replace).count(),
                1,
                "{}: the text to replace must stand in {} exactly once",
                recipe.name,
                recipe.file
            );
        }
    }
}
