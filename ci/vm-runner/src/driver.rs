// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers that the guest loads in place of ringbar's.

use std::fmt::Write as _;
use std::str::FromStr;

use crate::options::is_plain;

/// Folder of all nodes.
const NODES: &str = "/dev/";

/// A driver, by the name of its module, and its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Driver {
    name: String,
    nodes: Vec<String>,
}

impl Driver {
    /// Returns the word for the guest's init that names the driver, with a blank before it.
    pub(crate) fn word(&self) -> String {
        let mut word = format!(" ringbar.driver={}", self.name);
        if !self.nodes.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(word, ":{}", self.nodes.join(","));
        }
        word
    }
}

impl FromStr for Driver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, nodes) = match text.split_once(':') {
            None => (text, Vec::new()),
            Some((name, nodes)) => (name, nodes.split(',').collect()),
        };
        if !is_plain(name) {
            return Err(format!(
                "{name:?} is no name of a module: letters, digits, '-' and '_' only"
            ));
        }
        // Other characters could end the word and add an option for the kernel.
        let is_node = |node: &&str| node.strip_prefix(NODES).is_some_and(is_plain);
        match nodes.iter().find(|node| !is_node(node)) {
            Some(node) => Err(format!(
                "{node:?} is no node: {NODES} and a name of letters, digits, '-' and '_'"
            )),
            None => Ok(Self {
                name: name.to_owned(),
                nodes: nodes.into_iter().map(str::to_owned).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_refused(text: &str, reason: &str) {
        let error = text.parse::<Driver>().expect_err("refused");
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn driver_is_named_with_its_nodes() {
        let driver: Driver = "sum:/dev/sum0,/dev/sum1".parse().expect("a driver");

        assert_eq!(driver.word(), " ringbar.driver=sum:/dev/sum0,/dev/sum1");
    }

    #[test]
    fn driver_without_a_node_is_named_alone() {
        let driver: Driver = "sum".parse().expect("a driver");

        assert_eq!(driver.word(), " ringbar.driver=sum");
    }

    #[test]
    fn name_that_would_add_kernel_words_is_refused() {
        assert_refused("sum init=/bin/sh", "no name of a module");
        assert_refused("", "no name of a module");
        assert_refused("../sum:/dev/sum0", "no name of a module");
    }

    #[test]
    fn node_elsewhere_or_with_a_blank_is_refused() {
        assert_refused("sum:/tmp/sum0", "/tmp/sum0");
        assert_refused("sum:/dev/../tmp", "no node");
        assert_refused("sum:/dev/sum0,", "\"\" is no node");
        assert_refused("sum:/dev/a init=/bin/sh", "no node");
    }
}
