# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Carries out the steps of a page: `awk -v under=FOLDER -f first-device.awk PAGE` changes the files
# below FOLDER, and prints their names at the end.
#
# A step is a part of a block ```diff. The line `--- FILE` names the file of the steps behind it. Each
# step begins with `@@`, then come lines as in a patch: with a blank those that stay, with - those
# that go, with + those that come. The lines that stay or go stand together in the file, once. A step
# without any of them adds its lines at the end. Fails at the first step that does not fit.

# fail(LINE, WORDS): prints what is wrong at a line of the page, and ends with status 1.
function fail(line, words) {
	print FILENAME ":" line ": " words > "/dev/stderr"
	failed = 1
	exit 1
}

# text_of(FILE): the text of a file, with a newline before it and behind each line.
function text_of(file,    line, text, status) {
	text = "\n"
	while ((status = (getline line < file)) > 0) text = text line "\n"
	if (status < 0) fail(begin, "there is no file " file)
	close(file)
	return text
}

# carry_out(): changes the file of the step that has been read, if there is one.
function carry_out(    file, text, at, rest) {
	if (!begin) return
	file = under "/" name
	text = text_of(file)
	if (old == "\n") {
		text = text substr(new, 2)
	} else {
		at = index(text, old)
		if (!at) fail(begin, name " has no such lines:" old)
		if (index(substr(text, at + 1), old)) fail(begin, name " has these lines more than once:" old)
		rest = substr(text, at + length(old))
		text = substr(text, 1, at - 1) new rest
	}
	printf "%s", substr(text, 2) > file
	close(file)
	changed[name] = 1
	begin = 0
}

/^```diff$/ { inside = 1; name = ""; next }
inside && /^```$/ { carry_out(); inside = 0; next }
!inside { next }
/^--- / { carry_out(); name = substr($0, 5); next }
/^@@$/ {
	carry_out()
	if (name == "") fail(FNR, "no line `--- FILE` names the file of this step")
	begin = FNR
	old = new = "\n"
	next
}
!begin { fail(FNR, "a step begins with a line `@@`") }
/^-/ { old = old substr($0, 2) "\n"; next }
/^\+/ { new = new substr($0, 2) "\n"; next }
/^( |$)/ { old = old substr($0, 2) "\n"; new = new substr($0, 2) "\n"; next }
{ fail(FNR, "a line begins with a blank, - or +: " $0) }
END {
	if (failed) exit 1
	if (inside) fail(FNR, "the last block has no end")
	for (name in changed) print name
}
