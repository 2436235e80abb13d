#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# junit-parser 1.7.0 (crates.io): where the text of a failure has a character that XML has to escape
# (`<`, `>`, `&`), the character is missing, and the text is cut into lines there. `a < b` and `a > b`
# become the same. In an attribute (`message`) and in CDATA all is right. Its XML reader hands out such
# a character by an event of its own, which the crate skips. Expected: the text as it was written.
#
# What it means for a report: types, arrows and shell commands in failures read wrong. A writer for
# this reader takes CDATA.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

cat >result.xml <<'END'
<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="stock" tests="2" failures="2" errors="0" skipped="0">
<testcase name="escaped"><failure message="len &lt; 8">left &lt; right &amp;&amp; mask</failure></testcase>
<testcase name="cdata"><failure message="len &lt; 8"><![CDATA[left < right && mask]]></failure></testcase>
</testsuite>
END
found=$(rust_program 'junit-parser = "=1.7.0"' <<'END'
fn main() {
    let file = std::fs::File::open("result.xml").unwrap();
    let results = junit_parser::from_reader(std::io::BufReader::new(file)).unwrap();
    for case in &results.suites[0].cases {
        let failure = case.status.failure_as_ref();
        println!("{:?} {:?}", failure.message, failure.text);
    }
}
END
)
seen 'message, and text of CDATA' '"len < 8" "left < right && mask"' "$(sed -n 2p <<<"$found")"
seen 'message, and the same text escaped' '"len < 8" "left\nright\nmask"' "$(sed -n 1p <<<"$found")"
seen 'what xml.etree of Python reads' 'left < right && mask' \
	"$(python3 -c 'import xml.etree.ElementTree as e; print(e.parse("result.xml").find("testcase/failure").text)')"
finish
