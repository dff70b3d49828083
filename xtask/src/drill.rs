//! `cargo xtask drill [NAME or PACKAGE]...`: does a test notice when a rule is broken?
//!
//! Each entry of `drills.toml` is a bug. It is planted in a scratch worktree of HEAD under
//! `target/drills` (uncommitted changes are not part of it; `drills.toml` itself is read from the
//! tree as it is), the named test is built and run, and the test must fail. Before that, the same
//! test must pass without the bug. A drill whose text is gone, that does not compile, or whose
//! test does not exist is broken, and a broken drill fails the verb as a missed one does.

mod recipe;
mod trial;
mod worktree;

use std::collections::BTreeMap;
use std::fmt;

use crate::clock::Stopwatch;
use crate::failure::Failure;
use crate::tally::Tally;
use crate::terminal;
use crate::workspace::Workspace;

use recipe::Recipe;
use trial::Verdict;
use worktree::Worktree;

/// What became of one drill.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Found,
    /// Found because the test hung.
    FoundByLimit,
    Missed,
    Broken(String),
}

#[derive(Debug, Default)]
struct Score {
    found: u64,
    missed: u64,
    broken: u64,
}

/// Keeps what was asked for by name or by package; everything when nothing was.
fn choose(recipes: &mut Vec<Recipe>, wanted: &[String]) -> Result<(), Failure> {
    let is = |recipe: &Recipe, wanted: &String| recipe.name == *wanted || recipe.package == *wanted;
    if let Some(stray) = wanted.iter().find(|name| !recipes.iter().any(|recipe| is(recipe, name))) {
        let text =
            format!("drills.toml has no drill, and no package with drills, called '{stray}'");
        return Err(Failure::new(text));
    }
    if !wanted.is_empty() {
        recipes.retain(|recipe| wanted.iter().any(|name| is(recipe, name)));
    }
    Ok(())
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    let mut recipes = recipe::read(&workspace.read("drills.toml")?)?;
    choose(&mut recipes, arguments)?;
    // Drills of one test binary follow each other, so that each file is built as seldom as possible.
    recipes.sort_by(|a, b| (&a.package, &a.target, &a.file).cmp(&(&b.package, &b.target, &b.file)));
    let worktree = Worktree::at_head(workspace)?;
    let mut score = Score::default();
    let sound = check_without_bugs(workspace, &worktree, &recipes)?;
    for (index, (recipe, unsound)) in recipes.iter().zip(sound).enumerate() {
        let watch = Stopwatch::start();
        let outcome = match unsound {
            Some(problem) => Outcome::Broken(problem),
            None => try_one(workspace, &worktree, recipe)?,
        };
        let progress = format!("[{}/{}]", index + 1, recipes.len());
        report(&progress, recipe, &outcome, watch.seconds());
        score.add(&outcome);
    }
    terminal::line(&score);
    score.judge()
}

/// Runs each test without its bug; says for each drill what is wrong with it, if anything.
fn check_without_bugs(
    workspace: &Workspace,
    worktree: &Worktree,
    recipes: &[Recipe],
) -> Result<Vec<Option<String>>, Failure> {
    let watch = Stopwatch::start();
    let mut known = BTreeMap::new();
    let mut problems = Vec::new();
    for recipe in recipes {
        let test = (&recipe.package, &recipe.target, &recipe.features, &recipe.test);
        let verdict = match known.get(&test) {
            Some(&verdict) => verdict,
            None => trial::attempt(workspace, worktree, recipe)?,
        };
        known.insert(test, verdict);
        problems.push(match verdict {
            Verdict::Passed => None,
            verdict => Some(format!("without the bug the test {}", said(verdict))),
        });
    }
    terminal::line(format_args!("drill: tests without bugs, {} s", watch.seconds()));
    Ok(problems)
}

fn try_one(
    workspace: &Workspace,
    worktree: &Worktree,
    recipe: &Recipe,
) -> Result<Outcome, Failure> {
    let planted = match worktree.plant(recipe) {
        Ok(planted) => planted,
        Err(problem) => return Ok(Outcome::Broken(problem.to_string())),
    };
    let verdict = trial::attempt(workspace, worktree, recipe)?;
    drop(planted);
    Ok(judge(verdict))
}

fn judge(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Failed => Outcome::Found,
        Verdict::Hung => Outcome::FoundByLimit,
        Verdict::Passed => Outcome::Missed,
        verdict @ (Verdict::DoesNotBuild | Verdict::NothingRan) => {
            Outcome::Broken(format!("with the bug the test {}", said(verdict)))
        }
    }
}

fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passes",
        Verdict::Failed => "fails",
        Verdict::Hung => "does not end",
        Verdict::DoesNotBuild => "does not compile",
        Verdict::NothingRan => "does not exist: no test matches its name",
    }
}

fn report(progress: &str, recipe: &Recipe, outcome: &Outcome, seconds: u64) {
    let name = &recipe.name;
    match outcome {
        Outcome::Found => terminal::line(format_args!("{progress} found  {name} ({seconds} s)")),
        Outcome::FoundByLimit => terminal::line(format_args!(
            "{progress} found  {name}, by its time limit ({seconds} s)"
        )),
        Outcome::Missed => terminal::line(format_args!(
            "{progress} MISSED {name}: {} still passes although {}",
            recipe.test, recipe.why
        )),
        Outcome::Broken(problem) => {
            terminal::line(format_args!("{progress} BROKEN {name}: {problem}"));
        }
    }
}

impl Score {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Found | Outcome::FoundByLimit => self.found += 1,
            Outcome::Missed => self.missed += 1,
            Outcome::Broken(_) => self.broken += 1,
        }
    }

    /// Every planted bug must be found, and every drill must still apply.
    fn judge(&self) -> Result<Tally, Failure> {
        if self.missed + self.broken > 0 {
            return Err(Failure::new("every planted bug must be found"));
        }
        Ok(Tally { passed: self.found, failed: 0 })
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} found, {} missed", self.found, self.missed)?;
        if self.broken > 0 {
            write!(f, ", {} broken", self.broken)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failing_or_hanging_test_finds_the_bug() {
        assert_eq!(judge(Verdict::Failed), Outcome::Found);
        assert_eq!(judge(Verdict::Hung), Outcome::FoundByLimit);
        assert_eq!(judge(Verdict::Passed), Outcome::Missed);
        assert!(matches!(judge(Verdict::DoesNotBuild), Outcome::Broken(_)));
        assert!(matches!(judge(Verdict::NothingRan), Outcome::Broken(_)));
    }

    #[test]
    fn one_missed_or_broken_drill_fails_the_verb() {
        let score = |missed, broken| Score { found: 3, missed, broken }.judge();
        assert_eq!(score(0, 0).ok(), Some(Tally { passed: 3, failed: 0 }));
        assert!(score(1, 0).is_err());
        assert!(score(0, 1).is_err());
    }

    #[test]
    fn drills_are_chosen_by_name_or_package_and_strays_are_refused() {
        let text = ["one", "two"].map(|name| {
            let package = if name == "one" { "first" } else { "second" };
            format!(
                "[[drill]]\nname = \"{name}\"\nfile = \"f\"\nreplace = \"a\"\nwith = \"b\"\n\
                 package = \"{package}\"\ntest = \"t\"\nwhy = \"w\"\n"
            )
        });
        let all = recipe::read(&text.concat()).expect("it is valid");
        let chosen = |wanted: &[&str]| {
            let mut recipes = all.clone();
            let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
            let names = |recipe: &Recipe| recipe.name.clone();
            choose(&mut recipes, &wanted).map(|()| recipes.iter().map(names).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&[]).expect("everything"), ["one", "two"]);
        assert_eq!(chosen(&["second"]).expect("a package"), ["two"]);
        assert_eq!(chosen(&["one", "second"]).expect("both"), ["one", "two"]);
        assert!(chosen(&["one", "three"]).is_err());
    }
}
