// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The command line of a program: the cases to run, or, after [`AS`], a role. A program that starts
//! itself again gives its child a role.

/// Stands before the words of a role. Otherwise one of them could be taken for the name of a case.
pub const AS: &str = "--as";

/// Returns the words of the role that this process plays, or `None` if it runs cases.
pub fn role() -> Option<Vec<String>> {
    let mut words = std::env::args().skip(1);
    (words.next()? == AS).then(|| words.collect())
}

/// Returns for each case whether it runs. Without words, all of them run. A word chooses the case
/// of exactly that name. If there is none, it chooses all cases whose names contain the word.
///
/// # Errors
///
/// Fails if a word chooses no case. The error lists the names.
pub(crate) fn chosen(names: &[&str], words: &[String]) -> Result<Vec<bool>, String> {
    if words.is_empty() {
        return Ok(vec![true; names.len()]);
    }
    let mut chosen = vec![false; names.len()];
    for word in words {
        let exact = names.contains(&word.as_str());
        let fits = |name: &str| match exact {
            true => name == word,
            false => name.contains(word.as_str()),
        };
        if !names.iter().any(|name| fits(name)) {
            let all = names.join(", ");
            return Err(format!(
                "no case has `{word}` in its name; there are: {all}"
            ));
        }
        for (is_chosen, name) in chosen.iter_mut().zip(names) {
            *is_chosen |= fits(name);
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["read", "read_twice", "write"];

    fn by(words: &[&str]) -> Result<Vec<bool>, String> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        chosen(&NAMES, &words)
    }

    #[test]
    fn without_words_all_cases_run() {
        assert_eq!(by(&[]), Ok(vec![true, true, true]));
    }

    #[test]
    fn whole_name_chooses_its_case_alone() {
        assert_eq!(by(&["read"]), Ok(vec![true, false, false]));
    }

    #[test]
    fn part_of_a_name_chooses_all_cases_with_it() {
        assert_eq!(by(&["rea"]), Ok(vec![true, true, false]));
    }

    #[test]
    fn words_add_up() {
        assert_eq!(by(&["write", "twice"]), Ok(vec![false, true, true]));
    }

    #[test]
    fn unknown_word_is_an_error_with_the_names() {
        let error = by(&["read", "erase"]).expect_err("refused");

        assert!(error.contains("`erase`"), "{error}");
        assert!(error.contains("read, read_twice, write"), "{error}");
    }
}
