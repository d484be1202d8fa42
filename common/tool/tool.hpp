// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a tool is to the rest of the house: a constexpr description and one function.
#pragma once
#include "base/erased.hpp"
#include "output/column.hpp"
#include "tool/need.hpp"
#include "tool/option.hpp"
#include <array>
#include <functional>
#include <memory>

namespace corebox
{

struct Example {
    std::string_view command;
    std::string_view text;
};

// Another name of a tool, under which it has arguments: {"ext4slower", {"-t", "ext4"}, "Trace
// ..."}.
struct Alias {
    std::string_view name;
    std::array<std::string_view, 4> arguments; // before those of the command line
    std::string_view summary;
};

struct About {
    std::string_view name;
    std::string_view area;
    std::string_view summary; // one sentence, without full stop
    std::string_view details; // a paragraph for help and man page
    std::span<const Example> examples{};
    std::span<const Alias> aliases{};
    // Arguments without which it cannot run in a plain virtual machine: the tests of every tool
    // give them.
    std::array<std::string_view, 2> smoke{};
};

// BCC's letter for an option that all tools share: {'p', "pid"}. An option may have several, the
// tool's own too.
struct Letter {
    char key;
    std::string_view name;
};

struct Run;
struct Session;
class Sink;
// Makes what a run sends its rows to.
using SinkMaker =
    std::function<std::unique_ptr<Sink>(const Session&, std::span<const Column> columns)>;

// Groups of shared options that a tool has.
enum class Shared : std::uint16_t {
    none = 0,
    filter = 1,
    interval = 2,
    events = 4,
    sorted = 8,
    duration = 16,
    every = 32, // an interval as an option, for tools that report only at their end without it
    // No options: what it goes on reading once it traces (session/privileges.hpp).
    symbols = 64,       // the kernel's symbols and other processes' files, to name functions
    files = 128,        // directories anywhere
    callers = 256,      // as symbols, but only with its option --callers
    user_symbols = 512, // other processes' files only
    connections = 1024, // which connections are traced
    command = 2048      // the command to trace also as an option (BCC's -c)
};
constexpr Shared operator|(Shared a, Shared b) { return Shared(int(a) | int(b)); }
constexpr bool has(Shared set, Shared member) { return (int(set) & int(member)) != 0; }

// The linker lays the tools of all object files into one array: gcc aligns an object of this size
// to 32 or 64 bytes by itself, and only a size that is a multiple of that leaves no gaps between
// them.
struct alignas(64) Tool {
    About about;
    std::span<const Option> options;
    std::span<const Option> positionals;
    std::span<const Letter> letters;
    std::span<const Column> columns;
    std::span<const Need> needs;
    Shared shared;
    Seconds interval; // between reports, unless one is given; 0: there is none
    // The tool's own options with their defaults, to be filled by the command line.
    Erased (*make_options)();
    // From what was asked for to attached programs. Null: nothing is left to do (--check, a tool
    // that only lists).
    std::unique_ptr<Run> (*open)(std::unique_ptr<Session> session, const SinkMaker& make_sink);
    // Opens the tool's object without loading it and hands over its programs: plans can be
    // resolved, and kernels asked, on a machine where nothing may be loaded.
    void (*inspect)(const Tool& tool, const std::function<void(const void* progs)>& use);
    // That object, an ELF file; empty where a tool has none.
    std::span<const std::byte> (*object)() = [] { return std::span<const std::byte>(); };
    // Why a tool without needs can do nothing here with its default options; null: it always can.
    Obstacle (*obstacle)(const Facts&) = nullptr;
    // `columns` are the usual ones: options choose others, and the shape looks at --columns.
    bool columns_vary = false;
    // Makes a row of a record, with options as they are without any; tests compare the two. Null:
    // not a tool of which each record is a row.
    void (*replay)(std::span<const std::byte> record,
                   const std::function<void(const void* row)>& use) = nullptr;
    // What --where may name: columns, or fields of the events that are counted; empty: no --where.
    std::span<const Column> where{};
};

// Every tool linked into this program, by name. Tools register by placing a Tool into the section
// `corebox_tools`; no list is kept by hand.
std::vector<const Tool*> all_tools();

// A tool as it was called: itself, or under another name.
struct Called {
    const Tool* tool = nullptr; // null: there is none of that name
    const Alias* alias = nullptr;
};
// Takes names such as opensnoop-bpfcc, bpf-opensnoop, opensnoop.py and opensnoop.bt too.
Called find_tool(std::string_view name);

// The tool that an alias is: messages, help and man page say its name.
Tool under_alias(const Tool& tool, const Alias& alias);

// "fsslower -t ext4".
std::string alias_command(const Tool& tool, const Alias& alias);

// The groups of options of a shape, and those that this tool of it has too.
template <class S>
consteval Shared shared_of(const S& shape)
{
    if constexpr (requires { shape.also; })
        return S::kShared | shape.also;
    else
        return S::kShared;
}

template <class S>
consteval Seconds interval_of(const S& shape)
{
    if constexpr (requires { shape.interval; })
        return shape.interval;
    else
        return Seconds(0);
}

template <class S>
consteval auto obstacle_of(const S& shape) -> Obstacle (*)(const Facts&)
{
    if constexpr (requires { shape.obstacle; })
        return shape.obstacle;
    else
        return nullptr;
}

template <class S>
consteval bool columns_vary(const S& shape)
{
    if constexpr (requires { shape.columns_of; })
        return shape.columns_of != nullptr;
    else
        return false;
}

// A shape says what --where is about: of events that become rows the columns, of those that the
// kernel side counts the fields of a record (event_field()).
template <class S>
constexpr std::span<const Column> where_of(const S& shape)
{
    if constexpr (requires { shape.fields; })
        return shape.fields;
    else if constexpr (requires { S::kRowsAreEvents; })
        return shape.columns.list;
    else
        return {};
}

template <const auto& Shape>
consteval auto replay_of() -> decltype(Tool::replay)
{
    using S = std::remove_cvref_t<decltype(Shape)>;
    if constexpr (requires { typename S::MadeRow; }) {
        static_assert(Shape.decode != nullptr, "a record that is not the row has to be decoded");
        return
            [](std::span<const std::byte> record, const std::function<void(const void* row)>& use) {
                typename S::MadeRow row{};
                const typename S::Asked options{};
                if (Shape.decode(row, options, record.data(), record.size()))
                    use(&row);
            };
    } else {
        return nullptr;
    }
}

// The tool's own options in a session, whose type is not known here.
const void* asked_options(const Session& session);

// A Tool from a shape: `[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry =
// entry<kTool>();`
template <const auto& Shape>
consteval Tool entry()
{
    using S = std::remove_cvref_t<decltype(Shape)>;
    return {.about = Shape.about,
            .options = Shape.options,
            .positionals = Shape.positionals,
            .letters = Shape.letters,
            .columns = Shape.columns.list,
            .needs = Shape.needs,
            .shared = shared_of(Shape),
            .interval = interval_of(Shape),
            .make_options = [] { return adopt(std::make_unique<typename S::Asked>()); },
            .open =
                [](std::unique_ptr<Session> session, const SinkMaker& make_sink) {
                    return Shape.open(std::move(session), make_sink);
                },
            .inspect =
                [](const Tool&, const std::function<void(const void*)>& use) {
                    if constexpr (requires { typename S::Skeleton; }) {
                        using Skeleton = typename S::Skeleton;
                        if (Skeleton* s = Skeleton::open(nullptr)) {
                            use(&s->progs);
                            Skeleton::destroy(s);
                        }
                    }
                },
            .object = []() -> std::span<const std::byte> {
                if constexpr (requires { typename S::Skeleton; }) {
                    std::size_t size = 0;
                    const void* bytes = S::Skeleton::elf_bytes(&size);
                    return {static_cast<const std::byte*>(bytes), size};
                }
                return {};
            },
            .obstacle = obstacle_of(Shape),
            .columns_vary = columns_vary(Shape),
            .replay = replay_of<Shape>(),
            .where = where_of(Shape)};
}

// A Tool of several modes, each a shape of its own: `Mode(options)` is the number of the one that a
// run has, the first 0. They have the same options and skeleton; what is declared stands in the
// first.
template <auto Mode, const auto& First, const auto&... Others>
consteval Tool modes()
{
    using S = std::remove_cvref_t<decltype(First)>;
    static_assert(
        (std::is_same_v<typename S::Asked, typename std::remove_cvref_t<decltype(Others)>::Asked> &&
         ...));
    Tool tool = entry<First>();
    tool.open = [](std::unique_ptr<Session> session,
                   const SinkMaker& make_sink) -> std::unique_ptr<Run> {
        const auto& options = *static_cast<const typename S::Asked*>(asked_options(*session));
        constexpr decltype(Tool::open) kOpen[] = {entry<First>().open, entry<Others>().open...};
        return kOpen[std::size_t(Mode(options))](std::move(session), make_sink);
    };
    return tool;
}

} // namespace corebox
