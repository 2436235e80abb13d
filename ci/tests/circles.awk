# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Finds circles of imports among the modules of a Rust crate:
# `awk -v root=FOLDER -v main=FILE -v most=N -v folders=M -f circles.awk FILES`.
#
# Reads all FILES of the crate below `root`. `main` is the crate's root file: it declares modules and counts as none. Prints
# each circle of more than N modules, and each circle of more than M folders, where a file beside the folders counts as one.
# Names the one import whose cut leaves the smallest circle. Prints nothing if there is no such circle. With `-v list=1`,
# prints all imports instead, as `FROM TO`.

# module(FILE): the path of its module below the crate.
function module(file) {
	file = substr(file, length(root) + 2)
	sub(/(\/mod)?\.rs$/, "", file)
	gsub(/\//, "::", file)
	return file
}

# plain(TEXT): the text without comments and strings.
function plain(text,    out, at, end, two) {
	# A character that is a quote would begin a string.
	gsub(/'"'/, "' '", text)
	while (match(text, /\/\/|\/\*|"/)) {
		at = RSTART
		two = substr(text, at, 2)
		out = out substr(text, 1, at - 1) " "
		text = substr(text, at)
		if (two == "//") end = match(text, /\n/) ? RSTART - 1 : length(text)
		else if (two == "/*") end = index(text, "*/") ? index(text, "*/") + 1 : length(text)
		else end = match(text, /^"([^"\\]|\\.|\\\n)*"/) ? RLENGTH : length(text)
		text = substr(text, end + 1)
	}
	return out text
}

# resolve(PATH): the module that a path names, or the innermost one that it leads through. Empty if there is none, as for the
# crate's root. Sets `whole` if the path ends with that module.
function resolve(path,    count, part, first, known, at) {
	whole = 0
	count = split(path, part, "::")
	first = part[1]
	if (first == "crate") known = ""
	else if (first == "self") known = here
	else if (first == "super") known = parent(here)
	else if (first in alias) known = alias[first]
	else if ((here "::" first) in modules) known = here "::" first
	else return ""
	for (at = 2; at <= count; at++) {
		if (part[at] == "super") known = parent(known)
		else if ((known (known == "" ? "" : "::") part[at]) in modules) known = known (known == "" ? "" : "::") part[at]
		else break
	}
	whole = at > count
	return known
}

function parent(path) { return sub(/::[^:]*$/, "", path) ? path : "" }

# imports(PATH, NAME): the module here imports a path, which it calls NAME.
function imports(path, name,    to) {
	to = resolve(path)
	if (to == "" || !(to in modules)) return
	if (whole && name != "") alias[name] = to
	if (to != here) edge[here, to] = 1
}

# tree(PREFIX, TEXT): imports each path of a comma-separated list, which a `use` has in its braces.
function tree(prefix, text,    depth, at, c, from, item, name, path) {
	from = 1
	text = text ","
	for (at = 1; at <= length(text); at++) {
		c = substr(text, at, 1)
		if (c == "{") depth++
		else if (c == "}") depth--
		else if (c == "," && !depth) {
			item = substr(text, from, at - from)
			from = at + 1
			if (item == "") continue
			if (match(item, /\{.*\}$/)) {
				tree(prefix substr(item, 1, RSTART - 1), substr(item, RSTART + 1, RLENGTH - 2))
				continue
			}
			path = item
			name = ""
			if (match(path, / as /)) {
				name = substr(path, RSTART + 4)
				path = substr(path, 1, RSTART - 1)
			}
			path = prefix path
			sub(/::(self|\*)$/, "", path)
			if (name == "") {
				name = path
				sub(/.*::/, "", name)
			}
			imports(path, name)
		}
	}
}

# read(TEXT): finds the imports of the module `here` in its text.
function read(text,    at, use) {
	gsub(/[ \t\n]+/, " ", text)
	gsub(/ ?:: ?/, "::", text)
	split("", alias)
	# Before the paths in the code: an import may give a module another name.
	while (match(text, /(^|[ ;{}])use [^;]*;/)) {
		use = substr(text, RSTART, RLENGTH)
		text = substr(text, 1, RSTART - 1) ";" substr(text, RSTART + RLENGTH)
		sub(/^[ ;{}]?use /, "", use)
		sub(/;$/, "", use)
		gsub(/ *\{ */, "{", use)
		gsub(/ *\} */, "}", use)
		gsub(/ *, */, ",", use)
		tree("", use)
	}
	while (match(text, /[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)+/)) {
		use = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		imports(use, "")
	}
}

# reachable(NODES, COUNT, ARROW, REACH): REACH[a, b] if arrows lead from a to b.
function reachable(nodes, count, arrow, reach,    i, j, k) {
	split("", reach)
	for (i = 1; i <= count; i++) for (j = 1; j <= count; j++) if ((nodes[i], nodes[j]) in arrow) reach[nodes[i], nodes[j]] = 1
	for (k = 1; k <= count; k++)
		for (i = 1; i <= count; i++) {
			if (!((nodes[i], nodes[k]) in reach)) continue
			for (j = 1; j <= count; j++) if ((nodes[k], nodes[j]) in reach) reach[nodes[i], nodes[j]] = 1
		}
}

# circle(NODE, NODES, COUNT, REACH, MEMBERS): puts the nodes of its circle into MEMBERS, and returns how many they are.
function circle(node, nodes, count, reach, members,    i, found) {
	split("", members)
	for (i = 1; i <= count; i++)
		if (nodes[i] == node || (((node, nodes[i]) in reach) && ((nodes[i], node) in reach))) members[++found] = nodes[i]
	return found
}

# left(NODES, COUNT, ARROW): how many nodes the largest circle has.
function left(nodes, count, arrow,    reach, members, i, found, largest) {
	reachable(nodes, count, arrow, reach)
	largest = 1
	for (i = 1; i <= count; i++) {
		found = circle(nodes[i], nodes, count, reach, members)
		if (found > largest) largest = found
	}
	return largest
}

# cut(MEMBERS, COUNT, ARROW): the arrow without which the largest circle that is left is smallest.
function cut(members, count, arrow,    i, j, kept, largest, best, name) {
	best = count + 1
	for (i = 1; i <= count; i++)
		for (j = 1; j <= count; j++) {
			if (i == j || !((members[i], members[j]) in arrow)) continue
			kept = arrow[members[i], members[j]]
			delete arrow[members[i], members[j]]
			largest = left(members, count, arrow)
			arrow[members[i], members[j]] = kept
			if (largest < best) {
				best = largest
				name = kept == 1 ? members[i] " -> " members[j] : kept
			}
		}
	return name " (leaves " (best == 1 ? "none" : "one of " best) ")"
}

function joined(members, count,    i, text) {
	for (i = 1; i <= count; i++) text = text (i == 1 ? "" : ", ") members[i]
	return text
}

# sort(LIST, COUNT)
function sort(list, count,    i, j, held) {
	for (i = 2; i <= count; i++) {
		held = list[i]
		for (j = i - 1; j >= 1 && list[j] > held; j--) list[j + 1] = list[j]
		list[j + 1] = held
	}
}

# circles(WHAT, NODES, COUNT, ARROW, MOST): prints those with more than MOST nodes.
function circles(what, nodes, count, arrow, most,    reach, members, seen, i, j, found) {
	reachable(nodes, count, arrow, reach)
	for (i = 1; i <= count; i++) {
		if (nodes[i] in seen) continue
		found = circle(nodes[i], nodes, count, reach, members)
		for (j = 1; j <= found; j++) seen[members[j]] = 1
		if (found > most) print "circle of " found " " what ": " joined(members, found) "; cut " cut(members, found, arrow)
	}
}

FNR == 1 { if (FILENAME != main) modules[module(FILENAME)] = 1 }
{ text[FILENAME] = text[FILENAME] $0 "\n" }

END {
	for (file in text) {
		if (file == main) continue
		here = module(file)
		read(plain(text[file]))
	}
	for (name in modules) {
		names[++count] = name
		if (sub(/::.*/, "", name)) folder[name] = 1
	}
	sort(names, count)
	for (pair in edge) {
		split(pair, ends, SUBSEP)
		if (list) print ends[1], ends[2]
		from = ends[1]
		to = ends[2]
		sub(/::.*/, "", from)
		sub(/::.*/, "", to)
		# One import stands for all between two folders: the first by name.
		told = ends[1] " -> " ends[2]
		if (from != to && (!((from, to) in between) || told < between[from, to])) between[from, to] = told
	}
	if (list) exit
	circles("modules", names, count, edge, most)
	for (i = 1; i <= count; i++) {
		name = names[i]
		sub(/::.*/, "", name)
		if (!(name in is_unit)) {
			is_unit[name] = 1
			units[++unit_count] = name
		}
	}
	circles("folders", units, unit_count, between, folders)
}
