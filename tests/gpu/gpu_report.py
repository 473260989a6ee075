"""What gpu-check makes of the answers it gets: reading, comparing, tables. No GPU and no files here,
so that it is tested with made-up answers."""

import json
import re

MIB = 1 << 20


def read_cases(text):
    """The JSON lines of a script (see cases.py): ({case: its answer}, why it was skipped or None)."""
    found, skipped = {}, None
    for line in text.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue  # what a framework prints of its own
        if not isinstance(answer, dict):
            continue
        if "skipped" in answer:
            skipped = answer["skipped"]
        elif "case" in answer:
            found[answer["case"]] = {"result": answer.get("result"), "notes": answer.get("notes", {})}
    return found, skipped


def places(stats):
    """Bytes per place in MiB, of a statistics file's content; {} without one."""
    if not stats:
        return {}
    devices = stats.get("devices", [])

    def total(field):
        return sum(device.get(field, 0) for device in devices) // MIB

    answer = {"VRAM MiB, most": total("device_bytes_peak"), "host MiB, most": total("host_bytes_peak"),
              "redirected": sum(device.get("redirected_allocations", 0) for device in devices)}
    for name in ("lent_bytes_peak", "recalled_bytes"):
        if total(name):
            answer[f"{name}, MiB"] = total(name)
    if stats.get("gated_calls"):
        answer["gated_calls"] = stats["gated_calls"]
    for model in stats.get("models", []):
        name = model.get("file", "").rsplit("/", 1)[-1]
        answer[f"{name}: VRAM MiB"] = model.get("device_bytes", 0) // MIB
        answer[f"{name}: host MiB"] = model.get("host_bytes", 0) // MIB
    return answer


def compare(columns):
    """columns: {name: {case: answer}}, the first of which the others are to equal. The rows of a
    table, the cases that differ and those that already the first one does not answer."""
    names = list(columns)
    first = columns[names[0]] if names else {}
    rows, differ, broken = [], [], []
    for case in dict.fromkeys(case for column in columns.values() for case in column):
        wanted = first.get(case, {}).get("result")
        row = {"case": case, names[0]: "no answer" if wanted is None else wanted}
        if wanted is None or wanted.startswith("raised "):
            broken.append(case)
        for name in names[1:]:
            got = columns[name].get(case, {}).get("result")
            row[name] = "no answer" if got is None else "same" if got == wanted else got
            if (got is None or got != wanted) and case not in differ:
                differ.append(case)
        rows.append(row)
    return rows, differ, broken


def unmoved(runs, names):
    """Of the named runs, those that did run and sent nothing to host memory."""
    return [run["run"] for run in runs
            if run["run"] in names and run["exit"] == 0 and not run.get("host MiB, most")]


def past_the_gate(runs):
    """Of runs that had VRAM on loan, what is wrong with them: {name: {"exit", "answers", "statistics"}}.
    Each launch of theirs is to pass the gate: one that does not may meet memory that moves."""
    said = []
    for name, run in runs.items():
        statistics = run["statistics"] or {}
        if not any(device.get("lent_bytes_peak") for device in statistics.get("devices", [])):
            continue
        launches = sum(answer["notes"].get("launches, at least", 0) for answer in run["answers"].values())
        if statistics.get("gated_calls", 0) < launches:
            said.append(f"{name}: {statistics.get('gated_calls', 0)} calls passed the gate, of {launches} launches "
                        "at least")
    return said


def nothing_lent(runs, names):
    """Of the named runs, those that did run and had no VRAM on loan."""
    return [run["run"] for run in runs
            if run["run"] in names and run["exit"] == 0 and not run.get("lent_bytes_peak, MiB")]


def notes_table(columns):
    """One row for each case that noted anything, one column for each column."""
    rows = []
    for case in dict.fromkeys(case for column in columns.values() for case in column):
        row = {"case": case}
        for name, column in columns.items():
            notes = column.get(case, {}).get("notes", {})
            if notes:
                row[name] = "; ".join(f"{key} {value}" for key, value in notes.items())
        if len(row) > 1:
            rows.append(row)
    return rows


BINDING = re.compile(r"binding file (\S+) \[\d+\] to (\S+) \[\d+\]: \w+ symbol [`'](\w+)'(?: \[([^\]]+)\])?")


def bindings(lines, symbols):
    """Which library a reference was bound to, of ld.so's own account (LD_DEBUG=bindings): rows with
    symbol, from, to, version ("" for none), each once."""
    rows = {}
    for line in lines:
        match = BINDING.search(line)
        if match and match[3] in symbols:
            row = {"symbol": match[3], "from": match[1].rsplit("/", 1)[-1],
                   "to": match[2].rsplit("/", 1)[-1], "version": match[4] or ""}
            rows[tuple(row.values())] = row
    return sorted(rows.values(), key=lambda row: (row["symbol"], row["from"], row["to"]))


def not_ours(rows):
    """References to the runtime by a version of its, which are to bind to the library and do not. A
    reference from the library itself is how it finds the runtime."""
    return [row for row in rows if row["version"].startswith("libcudart.so.")
            and row["from"] != "libhybridmem.so" and row["to"] != "libhybridmem.so"]


def probe_answers(text):
    """The cells that a probe printed; what it answered before it broke off is kept."""
    for closed in (text, text + "]}"):
        try:
            return json.loads(closed)["answers"]
        except ValueError:
            pass
    return []


def attributes_that_differ(answers, wanted, other):
    """Pointer attributes that tell memory of one kind from the other: rows with both answers."""
    columns = {name: {a["row"]: a["value"] for a in answers
                      if a["table"] == "pointer attributes" and a["column"] == name} for name in (wanted, other)}
    return [{"attribute": row, wanted: value, other: columns[other].get(row, "no answer")}
            for row, value in columns[wanted].items() if columns[other].get(row) != value]


def probe_tables(answers):
    """Cells to tables: {name: (columns, rows)}, in the order of their first answer."""
    tables = {}
    for answer in answers:
        columns, rows = tables.setdefault(answer["table"], ([""], {}))
        if answer["column"] not in columns:
            columns.append(answer["column"])
        rows.setdefault(answer["row"], {"": answer["row"]})[answer["column"]] = answer["value"]
    return {name: (columns, list(rows.values())) for name, (columns, rows) in tables.items()}


def cell(value):
    return str(value).replace("|", "\\|").replace("\n", " ")


def table(rows, columns=None):
    if columns is None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(row.get(c, "")) for c in columns) + " |" for row in rows]
    return lines


def output_of(part):
    said = part.get("output", "").rstrip()
    return ["```", said[-2000:], "```", ""] if said and not part.get("ok") else []


def hosts_part(part):
    columns = ["host", "bare", "with room", "64 MiB of VRAM", "no budget", "redirected", "simulated"]
    return [*table(part["rows"], columns), ""]


def conformance_part(suite):
    counts = ", ".join(f"{number} {verdict}" for verdict, number in suite["counts"].items())
    lines = [f"{suite['cases']} cases, the driver alone: {counts}. {len(suite['differ'])} end "
             "differently with the library. Listed: those, and where the simulated driver does "
             "otherwise, or the driver fails a case.", ""]
    return [*lines, *table(suite["rows"], ["case", "bare", "with room", "no budget", "simulated"]), ""]


def probe_part(part):
    lines = []
    if part.get("differ"):
        lines += ["### Which pointer attributes tell mapped VRAM from cuMemAlloc's", "",
                  "The library answers them for memory on loan.", "", *table(part["differ"]), ""]
    for name, (columns, rows) in probe_tables(part.get("answers", [])).items():
        lines += [f"### {name}", "", *table(rows, columns), ""]
    return lines


def framework_part(part):
    """Of groups, each with columns: one for each allocator of a framework."""
    lines = []
    for name, group in part["groups"].items():
        lines += [f"### {name}", ""]
        if group.get("skipped"):
            lines += [f"Skipped: {group['skipped']}", ""]
            continue
        lines += [*table(group["runs"]), "", *table(group["rows"]), ""]
        if group["notes"]:
            lines += ["Noted, not compared:", "", *table(group["notes"]), ""]
        for run in group.get("said", []):
            lines += ["```", run, "```", ""]
    return lines


def loans_part(part):
    columns = ["way", "bare", "auto", "vmm", "lent_bytes_peak, MiB", "recalled_bytes, MiB", "gated_calls", "simulated"]
    return [*table(part["rows"], columns), ""]


TITLES = {"build": ("Build", None), "hosts": ("Host programs", hosts_part),
          "conformance": ("Conformance suite", conformance_part), "loans": ("VRAM on loan", loans_part),
          "doctor": ("Doctor", None), "demo": ("Demo", None),
          "probe": ("What the driver does", probe_part), "door": ("PyTorch's references to the runtime", None),
          "torch": ("PyTorch, three allocators", framework_part),
          "placement": ("PyTorch, a quantised transformer larger than VRAM", framework_part),
          "cupy": ("CuPy", framework_part), "jax": ("JAX", framework_part)}


def markdown(report):
    """All of a report. A part that broke off shows what it said."""
    head = f"{report['date']}, driver {report['driver']}, commit {report['commit']}."
    lines = [f"# GPU check: {report['gpu']}", "", head, ""]
    if "seconds" in report:
        lines += [f"Took {report['seconds']} s. Not as it should be: "
                  f"{', '.join(report['bad']) or 'nothing'}.", ""]
    for name, part in report["parts"].items():
        title, body = TITLES[name]
        lines += [f"## {title}", ""]
        if "skipped" in part:
            lines += [f"Skipped: {part['skipped']}", ""]
            continue
        if name in ("doctor", "demo") and part.get("ok"):
            lines += ["```", part["output"].rstrip(), "```", ""]
        lines += output_of(part)
        if body and not part.get("broke off"):
            lines += body(part)
        elif "rows" in part:
            lines += [*table(part["rows"]), ""]
    return "\n".join(lines)
