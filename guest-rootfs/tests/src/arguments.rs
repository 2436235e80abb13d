// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a program's command line says: which of its cases to run, or, after [`AS`], which role to play in
//! a program that starts itself again.

/// Goes before the words of a role, so that none is taken for the name of a case.
pub const AS: &str = "--as";

/// The words of the role that this process is to play; none if it is to run cases.
pub fn role() -> Option<Vec<String>> {
    let mut words = std::env::args().skip(1);
    (words.next()? == AS).then(|| words.collect())
}

/// Says of each case, by its name, whether it is to run: all of them without words. A word chooses the
/// case of that very name, else all that have it in their names.
///
/// # Errors
/// A word that chooses nothing, with the names that there are.
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
    fn word_chooses_the_case_of_that_name_alone() {
        assert_eq!(by(&["read"]), Ok(vec![true, false, false]));
    }

    #[test]
    fn word_that_is_no_name_chooses_all_that_have_it() {
        assert_eq!(by(&["rea"]), Ok(vec![true, true, false]));
    }

    #[test]
    fn words_add_up() {
        assert_eq!(by(&["write", "twice"]), Ok(vec![false, true, true]));
    }

    #[test]
    fn word_that_chooses_nothing_is_an_error_with_the_names() {
        let error = by(&["read", "erase"]).expect_err("refused");

        assert!(error.contains("`erase`"), "{error}");
        assert!(error.contains("read, read_twice, write"), "{error}");
    }
}
