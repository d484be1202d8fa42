// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/facts.hpp"
#include "output/escape.hpp"
#include "probe/points.hpp"
#include "shape/listing.hpp"
#include "symbols/usdt.hpp"
#include <cerrno>
#include <map>

namespace
{
using namespace corebox;

struct Options {
    std::string_view filter = "*", library;
    std::uint32_t pid = 0;
    unsigned details = 0;
    bool functions = false;
};

struct Row {
    std::string_view kind;
    std::string path{}; // of the file; empty: the kernel
    std::string name;   // "category:event", "provider:probe", function
    std::uint64_t semaphore = 0;
    std::size_t locations = 0, arguments = 0;
    std::vector<std::string_view> fields{}; // with -v, of a tracepoint: "char comm[16]"
    struct Location {
        std::uint64_t offset;
        std::string arguments;
    };
    std::vector<Location> places{}; // of a USDT probe
    std::vector<std::string_view> texts{};
    std::vector<std::string> own_texts{};
};

constexpr Example kExamples[] = {
    {"tplist", "List the tracepoints of the kernel"},
    {"tplist -v sched:sched_switch", "List the fields of a tracepoint"},
    {"tplist -l c", "List the USDT probes of the C library"},
    {"tplist -vv -l /usr/bin/node",
     "List the USDT probes of a program, with locations and arguments"},
    {"tplist -p 181 '*:gc*'", "List matching USDT probes of all files that process 181 maps"},
    {"tplist --functions -l c 'mem*'", "List functions of the C library"},
    {"tplist --functions 'vfs_*'", "List functions of the kernel"},
};

constexpr Option kPositionals[] = {
    opt<&Options::filter>(0, "filter", "FILTER",
                          "Pattern: category:event or provider:probe, with *, ? and [...]"),
};

constexpr Option kOptions[] = {
    opt<&Options::pid>('p', "pid", "PID", "List USDT probes of the files a process maps", kPositive,
                       {}, "pid"),
    opt<&Options::library>('l', "lib", "NAME", "List USDT probes of a library, program or file", {},
                           {}, "file"),
    Option{.key = 'v',
           .name = "details",
           .arg = {},
           .help = "Print fields and counts; twice: print each",
           .apply = [](void* options, std::string_view, const Range&) -> std::string {
               static_cast<Options*>(options)->details++;
               return {};
           }},
    flag<&Options::functions>(0, "functions", "List functions: of the kernel, or with -l, -p"),
};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return Trusted{r.kind}; }>("kind", "KIND", 10,
                                                      "tracepoint, usdt or function"),
    col<[](const Row& r) { return std::string_view(r.name); }>(
        "name", "NAME", 40, "category:event, provider:probe or function"),
    col<[](const Row& r) -> Value {
        if (r.path.empty())
            return Absent{};
        return std::string_view(r.path);
    }>("path", "PATH", 0, "File; empty for the kernel")
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        if (!r.semaphore)
            return Absent{};
        return Hex{r.semaphore};
    }>("semaphore", "SEMAPHORE", 12, "Offset in the file of the semaphore", kJsonOnly)
        .as(ColumnType::natural),
    col<&Row::locations>("locations", "LOCATIONS", -9, "Number of locations of a USDT probe",
                         kJsonOnly),
    col<&Row::arguments>("arguments", "ARGUMENTS", -9, "Number of arguments of a USDT probe",
                         kJsonOnly),
    col<[](const Row& r) {
        return List{r.fields.data(), r.fields.size()};
    }>("fields", "FIELDS", 0, "Fields of a tracepoint", costly("details")),
    col<[](const Row& r) {
        return List{r.texts.data(), r.texts.size()};
    }>("operands", "OPERANDS", 0, "Arguments by location: \"0x1234 -4@%edi 8@%rsi\"",
       costly("details")),
};

// "4 signed bytes @ %edi"
std::string in_words(const UsdtArgument& argument)
{
    if (!argument.size)
        return cat("@ ", argument.operand);
    return cat(argument.size < 0 ? -argument.size : argument.size,
               argument.size < 0 ? " signed" : " unsigned", " bytes @ ", argument.operand);
}

void text(std::string& out, const Row& row, const Options& o)
{
    if (!row.path.empty()) {
        escape_text(out, row.path, false);
        out += ' ';
    }
    escape_text(out, row.name, false);
    if (row.kind == "usdt" && o.details)
        out += cat(" [sema ", to_hex(row.semaphore), "]");
    out += '\n';
    for (const std::string_view field : row.fields)
        out += cat("    ", field, ";\n");
    if (row.kind != "usdt" || !o.details)
        return;
    if (o.details == 1) {
        out += cat("  ", row.locations, " location(s)\n  ", row.arguments, " argument(s)\n");
        return;
    }
    for (std::size_t i = 0; i < row.places.size(); i++) {
        out += cat("  location #", i + 1, " ", to_hex(row.places[i].offset), "\n");
        const auto arguments = usdt_arguments(row.places[i].arguments);
        for (std::size_t k = 0; k < arguments.size(); k++) {
            out += cat("    argument #", k + 1, " ");
            escape_text(out, in_words(arguments[k]), false);
            out += '\n';
        }
    }
}

using Print = std::function<bool(const Row&)>;

void list_tracepoints(const Options& o, const FunctionPattern& filter, const Print& print)
{
    const std::string events = cat(tracefs_path(), "/events/");
    for (std::string& name : all_tracepoints()) {
        if (!filter.matches(name))
            continue;
        Row row{.kind = "tracepoint", .name = std::move(name)};
        std::string format;
        if (o.details) {
            std::string file = row.name;
            file[file.find(':')] = '/';
            format = read_file(cat(events, file, "/format")).value_or("");
            for (const std::string_view line : split(format, '\n')) {
                const auto at = line.find("field:");
                const auto field =
                    at == line.npos ? "" : line.substr(at + 6, line.find(';') - at - 6);
                if (!field.empty() && field.find(" common_") == field.npos)
                    row.fields.push_back(field);
            }
        }
        if (!print(row))
            return;
    }
}

// The probes of a file, each with all its places.
bool list_probes(const ObjectFile& object, const FunctionPattern& filter, const Print& print)
{
    const auto file = open_elf(object);
    if (!file)
        return false;
    std::map<std::string, Row> rows;
    for (UsdtNote& note : usdt_notes(*file)) {
        std::string name = cat(note.provider, ":", note.name);
        if (!filter.matches(name))
            continue;
        Row& row = rows[name];
        row.kind = "usdt";
        row.path = object.path;
        row.name = std::move(name);
        row.semaphore = note.semaphore;
        row.arguments = usdt_arguments(note.arguments).size();
        row.own_texts.push_back(cat(to_hex(note.offset), " ", note.arguments));
        row.places.push_back({note.offset, std::move(note.arguments)});
        row.locations++;
    }
    for (auto& [name, row] : rows) {
        row.texts.assign(row.own_texts.begin(), row.own_texts.end());
        if (!print(row))
            break;
    }
    return true;
}

void list_functions(const Options& o, const std::vector<std::shared_ptr<const ObjectFile>>& files,
                    const Print& print)
{
    std::vector<Point> points;
    if (o.pid || !o.library.empty())
        points = find_functions_in(files, FunctionPattern(o.filter, FunctionPattern::Syntax::glob));
    else
        points = find_functions(FunctionPattern(o.filter, FunctionPattern::Syntax::glob));
    for (Point& point : points)
        if (!print({.kind = "function",
                    .path = point.object ? point.object->path : point.module,
                    .name = std::move(point.name)}))
            return;
}

void list(const Options& o, const Session&, const Print& print)
{
    const FunctionPattern filter(o.filter, FunctionPattern::Syntax::glob);
    std::vector<std::shared_ptr<const ObjectFile>> files;
    if (!o.library.empty()) {
        files.push_back(find_object(o.library, o.pid));
        if (!files[0])
            fail(cat("cannot find a library, program or file ", o.library), ENOENT);
    } else if (o.pid) {
        files = mapped_objects(o.pid);
    }
    if (o.functions)
        return list_functions(o, files, print);
    if (files.empty() && !o.pid)
        return list_tracepoints(o, filter, print);
    for (const auto& file : files)
        if (!list_probes(*file, filter, print) && !o.library.empty())
            fail(cat("cannot read ", file->path), "it is not an ELF file");
}

constexpr Listing<Options, Row> kTool{
    .about = {.name = "tplist",
              .area = "dynamic",
              .summary = "List tracepoints, USDT probes and functions that can be traced",
              .details = "Lists the kernel's tracepoints with their fields. With -l or -p, lists "
                         "the USDT probes of a library, of a program, or of all files that a "
                         "process maps. funccount, stackcount and others accept these names.",
              .examples = kExamples},
    .options = kOptions,
    .positionals = kPositionals,
    .columns = kColumns,
    .text = text,
    .list = list,
    .obstacle = [](const Facts& facts) { return find_obstacle("tracepoint", facts); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
