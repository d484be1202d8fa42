// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/where.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "expr/build.hpp"
#include "expr/splice.hpp"
#include "session/session.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>

namespace corebox
{
namespace
{

constexpr std::uint64_t kBillion = 1'000'000'000;

// Of a key that says its unit.
std::uint64_t ns_per_unit(const Column& column)
{
    constexpr std::pair<std::string_view, std::uint64_t> kUnits[] = {
        {"_ns", 1}, {"_us", 1000}, {"_ms", 1'000'000}, {"_s", kBillion}};
    for (const auto& [suffix, ns] : kUnits)
        if (column.key.ends_with(suffix))
            return ns;
    return 0;
}

// A map with one value, for a body.
Fd make_map(bpf_map_type type, const char* name, std::size_t bytes)
{
    Fd map(::bpf_map_create(type, name, sizeof(std::uint32_t), std::uint32_t(bytes), 1, nullptr));
    if (!map)
        fail("cannot create a BPF map for --where", errno);
    return map;
}

} // namespace

std::vector<std::string_view> conjuncts(std::string_view text)
{
    std::vector<std::string_view> parts;
    std::size_t depth = 0, from = 0;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        const std::string_view two = text.substr(i, 2);
        if (c == '"' || c == '\'') {
            for (i++; i < text.size() && text[i] != c; i++)
                i += text[i] == '\\';
        } else if (c == '(' || c == '[' || c == '{') {
            depth++;
        } else if (c == ')' || c == ']' || c == '}') {
            depth -= depth > 0;
        } else if (depth == 0 && (two == "||" || c == '?')) {
            return {text};
        } else if (depth == 0 && two == "&&") {
            parts.push_back(text.substr(from, i - from));
            from = ++i + 1;
        }
    }
    parts.push_back(text.substr(from));
    for (std::string_view& part : parts) {
        part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
        part = part.substr(0, part.find_last_not_of(' ') + 1);
    }
    return parts;
}

Value plain_value(const Value& value, const Clock& clock, std::string& joined)
{
    using Kind = Value::Kind;
    switch (value.kind) {
    case Kind::fixed: {
        std::uint64_t scaled = value.u;
        for (int i = value.digits; i < kDecimals; i++)
            scaled *= 10;
        return scaled;
    }
    case Kind::error:
        joined = value.i ? errno_name(int(value.i)) : "";
        return Trusted{joined};
    case Kind::wall_time:
        return clock.wall_ns(value.u);
    case Kind::address: {
        char text[INET6_ADDRSTRLEN] = "";
        ::inet_ntop(value.digits ? AF_INET6 : AF_INET, value.bytes, text, sizeof text);
        joined = text;
        return Trusted{joined};
    }
    case Kind::list:
        joined.clear();
        for (std::size_t i = 0; i < value.size; i++)
            joined += cat(i == 0                                  ? ""
                          : value.join() == List::Join::semicolon ? ";"
                                                                  : " ",
                          value.items[i]);
        return Trusted{joined};
    default:
        return value;
    }
}

Value address_part(const Value& value, std::int64_t part)
{
    if (value.kind != Value::Kind::address)
        return Absent{};
    if (part == 3)
        return std::int64_t(value.digits != 0);
    std::uint64_t words[2] = {};
    std::memcpy(words, value.bytes, value.digits ? 16 : 4);
    return words[part - 1];
}

Where::Where(std::string_view text, std::span<const Column> columns)
    : text_(text), columns_(columns)
{
    condition_ = parse(text_);
    in_kernel_ = test_of_record(code_, condition_, columns_);
    side_ = expr::side_of(code_, in_kernel_);
    world_.regexes = &regexes_;
    world_.column = [this](std::int64_t column) { return value_of(std::size_t(column)); };
}

expr::NodeId Where::find(std::string_view name)
{
    if (name == "true" || name == "false")
        return expr::make_int(code_, name == "true");
    const auto column = std::ranges::find(columns_, name, &Column::key);
    if (column == columns_.end())
        return expr::NodeId::none;
    if (column->type == ColumnType::elapsed)
        throw expr::TextError(0, 0, cat(name, " is relative to the first row that is shown"),
                              "use another column");
    if (std::ranges::find(used_, &*column) == used_.end())
        used_.push_back(&*column);
    return code_.add({.op = expr::Op::column,
                      .type = column_type(types_, column->type),
                      .value = column - columns_.begin()});
}

expr::Measure Where::measure(expr::NodeId value) const
{
    if (code_[value].op != expr::Op::column || code_[value].value >= kAddressPart)
        return {};
    const Column& column = columns_[std::size_t(code_[value].value)];
    if (column.type == ColumnType::decimal)
        return {kBillion, ns_per_unit(column)};
    const bool is_number = column.type == ColumnType::integer || column.type == ColumnType::natural;
    return {1, is_number ? ns_per_unit(column) : 0};
}

std::optional<expr::AddressParts> Where::address(expr::NodeId text)
{
    const expr::Node column = code_[text];
    if (column.op != expr::Op::column ||
        columns_[std::size_t(column.value)].type != ColumnType::address)
        return std::nullopt;
    const auto part = [&](std::int64_t number, expr::TypeId type) {
        return code_.add(
            {.op = expr::Op::column, .type = type, .value = column.value + number * kAddressPart});
    };
    const expr::TypeId word = types_.integer(8, false);
    return expr::AddressParts{{part(1, word), part(2, word)}, part(3, types_.integer(4, true))};
}

expr::NodeId Where::parse(std::string_view text)
{
    expr::Names names;
    names.find = [this](expr::Code&, std::string_view name) { return find(name); };
    names.address = [this](expr::NodeId node) { return address(node); };
    names.measure = [this](expr::NodeId value) { return measure(value); };
    names.all = [this] {
        std::vector<std::string> keys;
        for (const Column& column : columns_)
            keys.emplace_back(column.key);
        return keys;
    };
    try {
        return expr::parse_condition(code_, names, text);
    } catch (const expr::TextError& error) {
        expr::fail_at("--where", text, error);
    }
}

std::string Where::explain() const
{
    std::string out;
    for (const std::string_view part : conjuncts(text_)) {
        Where alone(part, columns_);
        constexpr std::string_view kPlaces[] = {"kernel", "kernel, else user space", "user space"};
        out += cat("where: ", part, ": ",
                   is_refused_ ? "user space; the kernel refuses the condition as a program"
                               : kPlaces[std::size_t(alone.side())],
                   "\n");
    }
    return out;
}

void Where::decide_in_user_space(std::string_view reason)
{
    if (is_counted)
        fail("cannot evaluate --where in the kernel", reason,
             "use a shorter condition; comparing numbers takes the fewest instructions");
    side_ = expr::Side::user;
    is_refused_ = true;
}

std::vector<std::byte> Where::give_body(std::span<const std::byte> object)
{
    expr::Machine machine;
    expr::WhereBody body = expr::generate_where(code_, in_kernel_, machine);
    if (!body.tables.empty() || body.uses_scratch) {
        const std::size_t bytes = body.tables.size() * sizeof body.tables[0];
        if (bytes) {
            tables_ = make_map(BPF_MAP_TYPE_ARRAY, "cb_where_tables", bytes);
            const std::uint32_t key = 0;
            if (::bpf_map_update_elem(tables_.get(), &key, body.tables.data(), BPF_ANY) != 0)
                fail("cannot fill a BPF map for --where", errno);
            machine.tables_fd = tables_.get();
        }
        if (body.uses_scratch) {
            scratch_ = make_map(BPF_MAP_TYPE_PERCPU_ARRAY, "cb_where_text", expr::kScratchBytes);
            machine.scratch_fd = scratch_.get();
        }
        body = expr::generate_where(code_, in_kernel_, machine);
    }
    const expr::Body bodies[] = {{"cb_where", body.instructions}};
    return expr::splice(object, bodies);
}

expr::Truth Where::decide(std::span<const std::byte> record) const
{
    expr::World world;
    world.record = record;
    return expr::test(code_, in_kernel_, world);
}

Value Where::value_of(std::size_t column)
{
    const auto part = std::int64_t(column) / kAddressPart;
    const Value value = columns_[column % std::size_t(kAddressPart)].get(row_);
    if (part)
        return address_part(value, part);
    if (value.kind == Value::Kind::wall_time)
        clock_.synchronise();
    return plain_value(value, clock_, joined_);
}

bool Where::holds(const void* row)
{
    if (side_ == expr::Side::kernel)
        return true;
    row_ = row;
    return expr::test(code_, condition_, world_) == expr::Truth::yes;
}

bool Session::filters_by(std::string_view column) const
{
    return where &&
           std::ranges::any_of(where->used(), [&](const Column* c) { return c->key == column; });
}

void prepare_where(Session& session, std::span<const Column> columns, bool counted)
{
    if (session.condition.empty())
        return;
    auto where = std::make_shared<Where>(session.condition, columns);
    for (const Column* column : where->used()) {
        const bool is_costly =
            column->show.when == Show::When::costly ||
            (column->show.when == Show::When::json && !column->show.option.empty());
        const auto options = split(column->show.option, '|');
        // What the record has is there without the option.
        if (is_costly && !column->field &&
            std::ranges::none_of(options,
                                 [&](std::string_view option) { return session.given(option); }))
            fail_usage(cat("--where: the column ", column->key, " requires --", options[0]));
    }
    if (counted && where->side() != expr::Side::kernel)
        fail_usage(
            "--where: this tool counts events in the kernel, which has no regular expressions; "
            "use a pattern, as in comm ~ \"nginx*\"");
    where->is_counted = counted;
    session.where = std::move(where);
}

} // namespace corebox
