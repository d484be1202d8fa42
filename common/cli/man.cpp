// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/man.hpp"
#include "cli/command_line.hpp"
#include "session/session.hpp"
#include "version.hpp"
#include <algorithm>

namespace corebox
{
namespace
{

// Text as roff shows it literally. `verbatim`: code, where quotes and dashes must stay what they
// are when copied from a terminal.
std::string roff(std::string_view s, bool verbatim, bool line_start = true)
{
    std::string out;
    for (const char c : s) {
        if (line_start && (c == '.' || c == '\''))
            out += "\\&";
        line_start = c == '\n';
        if (c == '\\')
            out += "\\e";
        else if (c == '-' && verbatim)
            out += "\\-";
        else if (c == '\'' && verbatim)
            out += "\\(aq";
        else if (c == '`')
            out += "\\(ga";
        else if (c == '^')
            out += "\\(ha";
        else if (c == '~')
            out += "\\(ti";
        else
            out += c;
    }
    return out;
}

std::string bold(std::string_view s) { return cat("\\fB", roff(s, true), "\\fR"); }

// The marks inside a line of Markdown.
std::string inline_marks(std::string_view s)
{
    std::string out;
    while (!s.empty()) {
        const auto at = s.find_first_of("`*");
        out += roff(s.substr(0, at), false, out.empty());
        if (at == s.npos)
            break;
        s.remove_prefix(at);
        const std::string_view mark = s.starts_with("**") ? "**" : s.substr(0, 1);
        const auto end = s.find(mark, mark.size());
        const bool is_mark = end != s.npos && end > mark.size() && s[mark.size()] != ' ';
        if (!is_mark) {
            out += roff(s.substr(0, 1), false, out.empty());
            s.remove_prefix(1);
            continue;
        }
        const auto inner = s.substr(mark.size(), end - mark.size());
        out += mark == "*" ? cat("\\fI", roff(inner, false), "\\fR") : bold(inner);
        s.remove_prefix(end + mark.size());
    }
    return out;
}

// A section of the Markdown text, without its heading.
std::string_view section(std::string_view markdown, std::string_view title)
{
    const std::string heading = cat("## ", title, "\n");
    const auto at = markdown.starts_with(heading) ? 0 : markdown.find(cat("\n", heading));
    if (at == markdown.npos)
        return {};
    const auto text = markdown.substr(markdown.find('\n', at + 1) + 1);
    return text.substr(0, text.find("\n## ") == text.npos ? text.npos : text.find("\n## ") + 1);
}

// roff has no blank lines: a request ends each paragraph.
std::string blocks(std::string_view markdown)
{
    std::string out;
    enum class In { nothing, heading, paragraph, item, code, fence } in = In::nothing;
    int blank = 0;
    const auto leave_code = [&] {
        if (in == In::code || in == In::fence)
            out += ".EE\n.RE\n";
    };
    const auto code_line = [&](std::string_view line) {
        out += std::string(std::size_t(blank), '\n');
        blank = 0;
        out += cat(roff(line, true), "\n");
    };
    for (const std::string_view line : split(markdown, '\n')) {
        const bool fence = line.starts_with("```");
        if (in == In::fence && !fence) {
            code_line(line);
            continue;
        }
        if (fence) {
            leave_code();
            const bool opens = in != In::fence;
            out += opens ? ".PP\n.RS 4\n.EX\n" : "";
            in = opens ? In::fence : In::nothing;
            blank = 0;
            continue;
        }
        if (line.empty()) {
            blank++;
            continue;
        }
        if (line.starts_with("<!--")) { // what scripts/examples reads
            leave_code();
            in = In::nothing;
            blank = 0;
            continue;
        }
        // An indented line continues a list's item, unless it is deeper or there was a blank line.
        const bool indented = line.starts_with("    ") || line.starts_with("\t");
        if (indented && (in == In::code || in == In::nothing || blank)) {
            if (in != In::code) {
                out += ".PP\n.RS 4\n.EX\n";
                blank = 0;
            }
            in = In::code;
            code_line(line.substr(line[0] == '\t' ? 1 : 4));
            continue;
        }
        leave_code();
        const auto text = line.substr(std::min(line.find_first_not_of(' '), line.size()));
        if (line.starts_with("### ")) {
            out += cat(".SS ", inline_marks(line.substr(4)), "\n");
            in = In::heading;
        } else if (text.starts_with("- ")) {
            out += cat(".IP \\(bu 2\n", inline_marks(text.substr(2)), "\n");
            in = In::item;
        } else {
            const bool heading = in == In::heading; // makes the paragraph itself
            if (in == In::nothing || in == In::code || in == In::fence || (blank && !heading))
                out += ".PP\n";
            in = blank || in != In::item ? In::paragraph : In::item;
            out += cat(inline_marks(text), "\n");
        }
        blank = 0;
    }
    leave_code();
    return out;
}

void put_section(std::string& out, std::string_view title, std::string_view roff_text)
{
    if (roff_text.empty())
        return;
    // The request behind a heading makes the paragraph itself; mandoc calls a second one useless.
    if (roff_text.starts_with(".PP\n"))
        roff_text.remove_prefix(4);
    out += cat(".SH ", title, "\n", roff_text);
}

// Breaks long lines of prose; roff fills them again.
std::string wrapped(std::string_view page)
{
    constexpr std::size_t kWidth = 78;
    std::string out;
    bool code = false;
    while (!page.empty()) {
        auto line = page.substr(0, page.find('\n'));
        page.remove_prefix(std::min(line.size() + 1, page.size()));
        code = line == ".EX" || (code && line != ".EE");
        while (!code && line.size() > kWidth && line[0] != '.') {
            const auto space = line.rfind(' ', kWidth);
            // A line must not begin with what roff takes for a request.
            const bool can_break = space != line.npos && space != 0 && line[space + 1] != '.' &&
                                   line[space + 1] != '\'';
            if (!can_break)
                break;
            out += cat(line.substr(0, space), "\n");
            line.remove_prefix(space + 1);
        }
        out += cat(line, "\n");
    }
    return out;
}

std::string sentence(std::string_view s)
{
    return s.empty() || s.ends_with('.') || s.ends_with('?') ? inline_marks(s)
                                                             : cat(inline_marks(s), ".");
}

std::string synopsis(const Tool& tool)
{
    std::string arguments = " [\\fIOPTION\\fR]...";
    const auto operands = listed_operands(tool);
    for (const Option* o : operands)
        arguments += cat(" [\\fI", roff(o->arg, false), "\\fR");
    arguments += std::string(operands.size(), ']');
    if (has(tool.shared, Shared::filter))
        arguments += " [\\-\\- \\fICOMMAND\\fR...]";
    std::string out = cat(bold(tool.about.name), arguments, "\n");
    for (const Alias& alias : tool.about.aliases)
        out += cat(".br\n", bold(alias.name), arguments, "\n");
    return out;
}

std::string options(const Tool& tool)
{
    std::string out;
    for (const Option* o : listed_operands(tool))
        out += cat(".TP\n\\fI", roff(o->arg, false), "\\fR\n", sentence(o->help), "\n");
    std::string_view group;
    const auto put = [&](const ListedOption& l) {
        const Option& o = *l.option;
        if (l.group != group)
            out += cat(".SS ", l.group, "\n");
        group = l.group;
        out += ".TP\n";
        for (const char letter : l.letters)
            out += cat(bold(cat("-", letter)), ", ");
        out += bold(cat("--", l.name));
        if (!o.arg.empty())
            out += cat(o.may_lack ? "[" : "", "=\\fI", roff(o.arg, true), "\\fR",
                       o.may_lack ? "]" : "");
        out += cat("\n", sentence(o.help), "\n");
        for (const std::string_view alias : l.aliases)
            out += cat("Also ", bold(cat("--", alias)), ".\n");
    };
    // The tool's own come first, wherever the parser keeps them.
    const auto list = listed_options(tool);
    for (const std::string_view wanted : {std::string_view(), kFilterTitle, kCommonTitle})
        for (const ListedOption& l : list)
            if (l.group == wanted)
                put(l);
    return out;
}

std::string columns(const Tool& tool)
{
    std::string out;
    for (const Column& c : tool.columns) {
        out += cat(".TP\n", bold(c.header), " (", roff(c.key, true), ")\n", sentence(c.help), "\n");
        using When = Show::When;
        if (c.show.when == When::with || c.show.when == When::costly)
            out += cat("Shown with ", either(c.show.option, bold), ".\n");
        if (c.show.when == When::without)
            out += cat("Not shown with ", either(c.show.option, bold), ".\n");
        if (c.show.when == When::text)
            out += "Only in text.\n";
        if (c.show.when == When::json)
            out += cat("In JSON and CSV",
                       c.show.option.empty() ? "" : cat(" with ", either(c.show.option, bold)),
                       "; text shows it with ", bold("--columns"), ".\n");
    }
    if (!out.empty())
        out += ".PP\nThe name in parentheses is the key in JSON, the heading in CSV, and the word "
               "for \\fB\\-\\-columns\\fR.\n";
    return out;
}

std::string conditions(const Tool& tool)
{
    if (tool.where.empty())
        return {};
    const bool of_columns = tool.where.data() == tool.columns.data();
    std::string out =
        cat(bold("--where"),
            " shows only events for which the expression is true, and "
            "counts the others as filtered. ",
            of_columns ? "It names columns by their keys." : "It names these fields of each event:",
            "\n");
    if (!of_columns)
        for (const Column& c : tool.where)
            out += cat(".TP\n", bold(c.key), "\n", sentence(c.help), "\n");
    return out + cat(".PP\n", bold("corebox"), "(8) describes the expressions. ", bold("--explain"),
                     " shows which part the kernel decides.\n");
}

std::string examples(const Tool& tool, std::string_view written)
{
    std::string out;
    for (const Example& e : tool.about.examples)
        out += cat(".TP\n", bold(e.command), "\n", sentence(e.text), "\n");
    return out + blocks(written);
}

std::string kernel_support(const Tool& tool, std::string_view written)
{
    std::string out;
    for (const Need& need : tool.needs) {
        std::string rungs;
        for (const Rung& rung : need.rungs)
            if (!rung.name.empty())
                rungs += cat(rungs.empty() ? "" : ", else ", rung.name);
        out += cat(out.empty()
                       ? "Probes, best first. The tool uses the first that the kernel supports:\n"
                       : "",
                   ".IP \\(bu 2\n", sentence(cat(need.what, ": ", rungs)), "\n");
        if (need.optional)
            out += cat("Without it, the tool does not see: ", sentence(need.without), "\n");
    }
    if (!out.empty())
        out += cat(".PP\n", bold("--explain"), " shows which probes are used, and why.\n");
    return out + blocks(written);
}

constexpr std::string_view kExitStatus =
    ".TP\n0\nThe tool ran, and every event is accounted for.\n.TP\n1\nThe command line is "
    "wrong.\n.TP\n2\nThe tool cannot run here; an error message names what is "
    "missing.\n.TP\n3\nThe tool ran, but events were lost; the account shows how many, and "
    "why.\n.TP\n4\nThe output could not be written.\n";

std::string title(std::string_view name)
{
    std::string upper(name);
    std::ranges::transform(upper, upper.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
    return cat(".\\\" Made by corebox from the tool's declaration and its TOOL.md.\n.TH ",
               roff(upper, true), " 8 ", kReleased, " \"corebox ", kVersion,
               "\" \"Tracing tools\"\n");
}

} // namespace

std::string man_page(const Tool& tool, std::string_view markdown)
{
    std::string out = title(tool.about.name);
    std::string summary(tool.about.summary);
    if (summary.size() > 1 && summary[1] >= 'a' && summary[1] <= 'z' && summary[0] < 'a')
        summary[0] = char(summary[0] + 32);
    std::string names = roff(tool.about.name, true);
    for (const Alias& alias : tool.about.aliases)
        names += cat(", ", roff(alias.name, true));
    put_section(out, "NAME", cat(names, " \\- ", roff(summary, false), "\n"));
    put_section(out, "SYNOPSIS", synopsis(tool));
    const std::string described = blocks(section(markdown, "DESCRIPTION"));
    put_section(out, "DESCRIPTION",
                described.empty() ? cat(inline_marks(tool.about.details), "\n") : described);
    put_section(out, "OPTIONS", options(tool));
    put_section(out, "COLUMNS", columns(tool));
    put_section(out, "CONDITIONS", conditions(tool));
    put_section(out, "EXAMPLES", examples(tool, section(markdown, "EXAMPLES")));
    put_section(out, "OVERHEAD", blocks(section(markdown, "OVERHEAD")));
    put_section(out, "KERNEL SUPPORT", kernel_support(tool, section(markdown, "KERNEL SUPPORT")));
    put_section(out, "EXIT STATUS", kExitStatus);
    const std::string see = blocks(section(markdown, "SEE ALSO"));
    put_section(out, "SEE ALSO", see.empty() ? "\\fBcorebox\\fR(8)\n" : see);
    return wrapped(out);
}

// (The guest tests run every tool so: Doctor.TwoCapabilitiesAndNoMore.)
constexpr std::string_view kPrivileges =
    R"(A tool requires CAP_BPF and CAP_PERFMON, or root.

    setcap cap_bpf,cap_perfmon+ep /usr/local/sbin/corebox

lets anyone who can execute this file or a link to it trace. These two capabilities do not include:

- Memory for BPF maps before Linux 5.11, where maps count as locked memory: set `ulimit -l unlimited`,
  or add CAP_SYS_RESOURCE.
- Samples, kprobes, uprobes and the tracepoints of tracefs, which are perf events. Debian sets
  kernel.perf_event_paranoid to 3, and its kernels then require CAP_SYS_ADMIN. Set
  `sysctl kernel.perf_event_paranoid=2`. Most tools do not need perf events.
- Access to the tracepoints of tracefs, which requires CAP_DAC_READ_SEARCH, or
  `mount -o remount,gid=GROUP,mode=750 /sys/kernel/tracing`. Few tools need it.
- Names of kernel functions in stacks, which require CAP_SYSLOG and kernel.kptr_restrict not 2, and
  names of functions in other users' programs, which require CAP_SYS_PTRACE.
- fentry and fexit probes on functions of modules such as file systems, which require CAP_SYS_ADMIN.
  Without it, the tools use kprobes.

`corebox doctor`, run by the same user, shows which tools run and what the others lack. After
attaching, a tool drops every capability that it no longer needs.
)";

constexpr std::string_view kConditions =
    R"(Most tools take `--where EXPR`, which shows only events for which the expression is true:

    opensnoop --where 'err != 0 && path ~ "/etc/*"'
    biosnoop --where 'lat_ms > 10 && (op == "read" || bytes >= 64k)'
    runqlat --where 'comm ~ "nginx*"'

All other events count as filtered. The kernel decides as much as it can before it sends an event;
the tool decides the rest. `--explain` shows which part is decided where.

- Names are the keys of the tool's columns in JSON, and values are those that JSON shows. `--schema`
  lists them with their types. Tools that count events in the kernel have fields instead: see
  CONDITIONS in the page of the tool.
- Operators are those of C: `|| && ! == != < <= > >= + - * / % & | ^ ~ << >> ?:` and parentheses.
- Text is in double quotes. `==` and `!=` compare the whole text. `~` compares it with a pattern of
  `*`, `?`, `[a-z]` and `[!a]`, and `=~` with an extended regular expression, which only user space has.
- `in` compares with several: `pid in {1, 2}`, `err in 1..9`, `comm in {"sh", "bash"}`.
- Numbers may have a size or a time behind them: `64k`, `2m`, `10us`, `5ms`, `1s`. Times are converted
  to the unit of the column.
- A value that an event does not have (null in JSON) makes its comparison false. `defined(fd)` is true
  where there is a value.
)";

std::string man_page(std::span<const Tool* const> tools)
{
    std::string out = title("corebox");
    put_section(out, "NAME", "corebox \\- tracing tools in one file\n");
    put_section(out, "SYNOPSIS",
                "\\fBcorebox\\fR \\fITOOL\\fR [\\fIOPTION\\fR]...\n.br\n"
                "\\fBcorebox help\\fR \\fITOOL\\fR\n.br\n"
                "\\fBcorebox list\\fR\n.br\n"
                "\\fBcorebox doctor\\fR [\\fITOOL\\fR,...]\n.br\n"
                "\\fBcorebox completion\\fR bash|zsh|fish\n.br\n"
                "\\fBcorebox \\-\\-install\\fR \\fIDIRECTORY\\fR\n");
    put_section(
        out, "DESCRIPTION",
        "Runs a tool. A link to corebox with the name of a tool runs that tool;\nnames such as "
        "opensnoop\\-bpfcc, bpf\\-opensnoop and opensnoop.py work too.\n\\fBhelp\\fR prints the "
        "man page of a tool on machines without man.\n\\fBlist\\fR lists the tools by "
        "area.\n\\fBdoctor\\fR checks which tools run on this machine and what the others "
        "lack.\n\\fB\\-\\-install\\fR makes a link for each tool in a directory, and replaces only "
        "links.\nEvery tool has its own man page, and \\fB\\-\\-help\\fR.\n");
    std::string list;
    for (const Tool* tool : tools) {
        list += cat(".TP\n", bold(tool->about.name), "(8)\n", sentence(tool->about.summary), "\n");
        for (const Alias& alias : tool->about.aliases)
            list += cat(".TP\n", bold(alias.name), "(8)\n", sentence(alias.summary), "\n");
    }
    put_section(out, "TOOLS", list);
    put_section(out, "CONDITIONS", blocks(kConditions));
    put_section(out, "PRIVILEGES", blocks(kPrivileges));
    put_section(out, "ENVIRONMENT",
                ".TP\n\\fBCOREBOX_PROBES\\fR\nProbes to use where a tool has them, separated by "
                "commas, such as kprobe or perf_buffer. A name that the tool does not have is an "
                "error. For tests.\n"
                ".TP\n\\fBCOREBOX_SHARDS\\fR\nNumber of ring buffers for events, from 1 to 64. The "
                "default is 1 on up to 4 CPUs, and one for each CPU beyond. For tests.\n");
    put_section(out, "EXIT STATUS", kExitStatus);
    return wrapped(out);
}

} // namespace corebox
