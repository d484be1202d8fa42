// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "function_where.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "expr/build.hpp"
#include "expr/token.hpp"
#include "session/where.hpp"
#include <algorithm>
#include <map>

namespace corebox
{
namespace
{
using expr::Code;
using expr::Measure;
using expr::Names;
using expr::NodeId;
using expr::TextError;

enum Moment : std::uint8_t { kEntry, kReturn };

constexpr RecordHead kHead{.size = sizeof(function_event),
                           .missing = offsetof(function_event, undecided),
                           .undecided = offsetof(function_event, undecided)};

struct Latency {
    std::string_view name;
    std::uint64_t ns;
};
constexpr Latency kLatencies[] = {{"lat_ns", 1}, {"lat_us", 1000}, {"lat_ms", 1'000'000}};

// What other tools' conditions call what a place has by another name.
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"pid", "$tgid"}, {"tid", "$pid"}, {"uid", "$uid"}, {"cpu", "$cpu"}, {"comm", "$comm"}};

bool is_of_return(std::string_view part)
{
    for (const expr::Token& token : expr::read_tokens(part))
        if (token.sign == expr::Sign::name &&
            (token.word == "retval" || token.word == "$retval" || token.word == "$latency" ||
             token.word.starts_with("lat_")))
            return true;
    return false;
}

Names with_fields(Names names)
{
    const auto measures = std::make_shared<std::map<NodeId, Measure>>();
    names.find = [find = names.find, measures](Code& code, std::string_view name) -> NodeId {
        for (const auto& [latency, ns] : kLatencies)
            if (name == latency || (name == "$latency" && ns == 1)) {
                const NodeId node = code.add({.op = expr::Op::load,
                                              .type = code.types().integer(8, false),
                                              .size = 8,
                                              .a = expr::make_record(code),
                                              .value = offsetof(function_event, lat_ns)});
                measures->emplace(node, Measure{ns, ns});
                return node;
            }
        if (const NodeId node = find(code, name); node != NodeId::none)
            return node;
        for (const auto& [other, own] : kOtherNames)
            if (name == other)
                return find(code, own);
        return NodeId::none;
    };
    names.measure = [measures](NodeId node) {
        const auto found = measures->find(node);
        return found == measures->end() ? Measure{} : found->second;
    };
    names.all = [all = names.all] {
        std::vector<std::string> more = all();
        for (const Column& column : kReturnFields)
            more.emplace_back(column.key);
        return more;
    };
    return names;
}

} // namespace

FunctionWhere::FunctionWhere(std::string_view text, const Session& session,
                             std::span<const Point> points, bool returns, bool may_be_typed)
    : kernel_(session), text_(text)
{
    const bool are_functions = std::ranges::all_of(points, [](const Point& point) {
        return point.kind == Point::Kind::kernel || point.kind == Point::Kind::user;
    });
    if (!are_functions)
        fail_usage("--where: only functions have arguments here; argdist and trace have "
                   "conditions on tracepoints and USDT probes");
    const bool is_one = points.size() == 1;
    const bool of_kernel = points[0].kind == Point::Kind::kernel;
    entry_.place = {.kind = PlaceKind::entry,
                    .of_program = !of_kernel,
                    .is_wrapper = of_kernel && is_syscall_wrapper(points[0].name),
                    .name = is_one ? points[0].name : "these functions"};
    entry_.points.assign(points.begin(), points.begin() + 1);
    entry_.may_be_typed = is_one && of_kernel;
    try {
        const ProbeSpec spec("p::function");
        if (entry_.may_be_typed)
            kernel_.describe(entry_, spec);
        leave_ = entry_;
        leave_.place.kind = PlaceKind::returns;
        entry_.may_be_typed &= may_be_typed;
        leave_.may_be_typed &= may_be_typed;
        for (const std::string_view part : conjuncts(text_)) {
            const Moment moment = is_of_return(part) ? kReturn : kEntry;
            if (moment == kReturn && !returns)
                throw TextError(std::size_t(part.data() - text_.data()), part.size(),
                                "this tool does not see returns", "funclatency and funcslower do");
            parts_[moment].push_back({part, std::size_t(part.data() - text_.data())});
        }
        const auto make = [&](Tap& tap, Moment moment) {
            return kernel_.make_forms(tap, spec, kHead, [&](Capture& capture) {
                capture.wrap_names(with_fields);
                for (const Piece& part : parts_[moment]) {
                    capture.set_condition(part);
                    if (!capture.is_decided_by_kernel())
                        throw TextError(part.at, part.text.size(), "the kernel cannot decide this",
                                        "use == or a pattern of ~");
                }
            });
        };
        entry_forms_ = make(entry_, kEntry);
        leave_forms_ = make(leave_, kReturn);
    } catch (const TextError& error) {
        const bool has_types = is_one || !error.hint.empty();
        expr::fail_at("--where", text_,
                      has_types ? error
                                : TextError(error.at, error.length, error.what(),
                                            "parameters have names where one function is traced"));
    }
    config_ = {!parts_[kEntry].empty(), !parts_[kReturn].empty()};
    for (const body_form form : {BODY_TYPED, BODY_PLAIN})
        has_[form] = entry_forms_.captures[form] && leave_forms_.captures[form];
    if (!has_[BODY_TYPED] && !has_[BODY_PLAIN])
        fail_usage("--where: no probe here has both of what the condition names");
    if (session.explain)
        for (const auto& parts : parts_)
            for (const Piece& part : parts)
                say(session.tool, cat("where: ", part.text, ": kernel, at the ",
                                      &parts == &parts_[kEntry] ? "call" : "return"));
}

std::span<const std::byte> FunctionWhere::make_object(const void* (*elf_bytes)(std::size_t*))
{
    object_ =
        kernel_.make_object(elf_bytes, {{entry_forms_, "entry_typed", "entry_plain", entry_maps_},
                                        {leave_forms_, "body_typed", "body_plain", leave_maps_}});
    return object_;
}

std::span<const Need> PointCondition::apply(Session& session, const FunctionProbes& probes,
                                            std::span<const Need> all, bool fentry,
                                            const void* (*elf_bytes)(std::size_t*))
{
    if (text.empty())
        return all;
    where.emplace(text, session, probes.functions(), false, fentry);
    session.object = where->make_object(elf_bytes);
    needs.assign(all.begin(), all.end());
    // A copy at fentry would need a condition of its own.
    const body_form form = fentry ? BODY_TYPED : BODY_PLAIN;
    if (!fentry || !where->has(form))
        for (Rung& rung : needs[0].rungs)
            if (rung.name == "fentry")
                rung = {};
    // Those that are left come first.
    std::ranges::stable_partition(needs[0].rungs, [](const Rung& r) { return !r.name.empty(); });
    return needs;
}

} // namespace corebox
