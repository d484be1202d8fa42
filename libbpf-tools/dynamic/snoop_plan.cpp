// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "snoop_plan.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <algorithm>

namespace corebox
{
namespace
{
constexpr std::size_t kMostFunctions = 64;
constexpr std::uint32_t kMostOfStructure = 2048; // bytes, as BCC's
constexpr std::uint32_t kTextBytes = 128;
} // namespace

// Each function of a pattern has its own parameters, and so an instance of its own.
void SnoopPlan::add(std::string_view text, const Session& session)
{
    specs_.push_back(std::make_unique<SnoopSpec>(text));
    const SnoopSpec& spec = *specs_.back();
    probes_.push_back(std::make_unique<ProbeSpec>(cat("p::", spec.function.text)));
    for (Tap& tap : find_taps(*probes_.back(), session, true))
        for (Point& point : tap.points) {
            const bool is_known = std::ranges::any_of(snooped_, [&](const Snooped& other) {
                return other.entry.tap.points[0].name == point.name;
            });
            if (is_known)
                throw expr::TextError(spec.function.at, spec.function.text.size(),
                                      cat(point.name, " is given twice"));
            if (snooped_.size() == kMostFunctions)
                throw expr::TextError(spec.function.at, spec.function.text.size(),
                                      cat("more than ", kMostFunctions, " functions"));
            Snooped& snooped = snooped_.emplace_back();
            snooped.spec = &spec;
            snooped.probe = probes_.back().get();
            snooped.entry.tap = {.place = {.kind = PlaceKind::entry,
                                           .is_wrapper = is_syscall_wrapper(point.name),
                                           .name = point.name},
                                 .points = {std::move(point)},
                                 .may_be_typed = true};
        }
}

// A value, and what it leads to.
void SnoopPlan::show(Capture& capture, std::string_view name, const Piece& piece)
{
    std::vector<ShownValue>& values = values_[&capture];
    const expr::Types& types = kernel_.types();
    ShownValue shown{.name = std::string(name)};
    const std::size_t first = capture.arguments().size();
    const auto add = [&](const Piece& what, char letter) {
        capture.add(what, {.letter = letter}, expr::TypeId::none, name);
    };
    add(piece, 0);
    const Captured& captured = capture.arguments().back();
    const expr::Type type = types[captured.type];
    if (captured.form != Captured::Form::number || captured.show != expr::Show::number ||
        type.kind != expr::Type::Kind::pointer) {
        shown.value = first;
        values.push_back(std::move(shown));
        return;
    }
    shown.pointer = first;
    const expr::Type target = types[type.target];
    if (type.target == expr::TypeId::none)
        ;
    else if (target.is_char || (target.kind == expr::Type::Kind::structure && target.size))
        add(piece, 's');
    else if (target.is_number() || target.kind == expr::Type::Kind::pointer)
        add({texts_.emplace_back(cat("*(", piece.text, ")")), piece.at}, 0);
    if (capture.arguments().size() > first + 1)
        shown.value = first + 1;
    values.push_back(std::move(shown));
}

void SnoopPlan::add_parameters(Capture& capture, const Snooped& snooped, const Place& place)
{
    const Piece& function = snooped.spec->function;
    const auto show_named = [&](std::string name) {
        const std::string& text = texts_.emplace_back(std::move(name));
        show(capture, text, {text, function.at});
    };
    if (place.is_wrapper) { // of a system call, whose own parameters BTF does not have
        for (unsigned i = 1; i <= 6; i++)
            show_named(cat("arg", i));
        return;
    }
    if (!place.prototype)
        throw expr::TextError(function.at, function.text.size(),
                              cat("no BTF describes ", place.name),
                              "name registers instead: FUNCTION(arg1, return)");
    for (const expr::Parameter& p : place.prototype->parameters) {
        const expr::Type& type = kernel_.types()[p.type];
        // No expression has others; `info` shows them.
        if (!p.name.empty() && (type.is_number() || type.kind == expr::Type::Kind::pointer))
            show_named(p.name);
    }
}

void SnoopPlan::fill(Capture& capture, const Snooped& snooped, const Moment& moment)
{
    const bool is_return = &moment == &snooped.leave;
    values_[&capture].clear();
    capture.limit_structures(kMostOfStructure);
    if (is_return)
        capture.wrap_names([](expr::Names names) { return with_return(std::move(names)); });
    const SnoopSpec& spec = *snooped.spec;
    for (const SnoopSpec::Argument& argument : spec.arguments) {
        if (argument.of_return != is_return)
            continue;
        if (argument.is_condition) {
            capture.set_condition(argument.whole);
            if (!capture.is_decided_by_kernel())
                throw expr::TextError(argument.whole.at, argument.whole.text.size(),
                                      "the kernel cannot decide this", "use == or a pattern of ~");
        }
        const Piece& value = argument.value;
        const bool is_shown = std::ranges::any_of(
            values_[&capture], [&](const ShownValue& other) { return other.name == value.text; });
        if (!value.text.empty() && !is_shown)
            show(capture, value.text, value);
    }
    if (!spec.has_list && !is_return)
        add_parameters(capture, snooped, moment.tap.place);
    const auto& prototype = moment.tap.place.prototype;
    if (!spec.has_list && is_return && (!prototype || prototype->returns != expr::TypeId::none))
        show(capture, "return", {"return", spec.function.at});
    capture.lay_out(kTextBytes);
}

Forms SnoopPlan::make_forms(Snooped& snooped, Moment& moment)
{
    Place& place = moment.tap.place;
    place.record_pid = offsetof(ksnoop_record, task.pid);
    place.record_tid = offsetof(ksnoop_record, task.tid);
    Forms forms = kernel_.make_forms(moment.tap, *snooped.probe, kSnoopHead,
                                     [&](Capture& capture) { fill(capture, snooped, moment); });
    most_ = forms.record_bytes(most_);
    return forms;
}

void SnoopPlan::prepare(Snooped& t)
{
    const SnoopSpec& spec = *t.spec;
    try {
        kernel_.describe(t.entry.tap, *t.probe);
        t.leave.tap = t.entry.tap;
        t.leave.tap.place.kind = PlaceKind::returns;
        t.entry.forms = make_forms(t, t.entry);
        t.leave.forms = make_forms(t, t.leave);
        for (const body_form form : {BODY_TYPED, BODY_PLAIN})
            if (!t.entry.forms.captures[form] || !t.leave.forms.captures[form]) {
                t.entry.forms.captures[form].reset();
                t.leave.forms.captures[form].reset();
            }
        if (!t.entry.forms.captures[BODY_TYPED] && !t.entry.forms.captures[BODY_PLAIN])
            throw expr::TextError(0, spec.text.size(), "entry and return need different probes");
    } catch (const expr::TextError& error) {
        expr::fail_at("cannot trace this", spec.text, error);
    }
    t.entry.is_shown = !spec.has_list;
    t.leave.is_shown = !spec.has_list;
    for (const SnoopSpec::Argument& argument : spec.arguments) {
        Moment& moment = argument.of_return ? t.leave : t.entry;
        moment.has_condition |= argument.is_condition;
        moment.is_shown |= !argument.value.text.empty();
    }
    if (spec.has_list && spec.arguments.empty()) // f(): its calls
        t.entry.is_shown = true;
    if (!t.entry.is_shown && !t.leave.is_shown) // conditions only
        (t.leave.has_condition ? t.leave : t.entry).is_shown = true;
    t.probes = std::make_unique<FunctionProbes>(t.entry.tap.points);
    const Point& point = t.entry.tap.points[0];
    t.targets[0] = {"%function", point.name, point.module};
}

} // namespace corebox
