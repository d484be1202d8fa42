// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tracepoint_fields.hpp"
#include "base/text.hpp"
#include "kernel/facts.hpp"

namespace corebox
{
namespace
{

std::string_view trim(std::string_view s)
{
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t'))
        s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t'))
        s.remove_suffix(1);
    return s;
}

// "value" of "key:value" among the parts of a line.
std::optional<std::string_view> part(std::string_view line, std::string_view key)
{
    for (const std::string_view p : split(line, ';'))
        if (const auto t = trim(p); t.starts_with(key) && t.substr(key.size()).starts_with(':'))
            return t.substr(key.size() + 1);
    return std::nullopt;
}

// "const char * name", "__u8 name[16]", "__data_loc char[] name".
void take_declaration(TracepointField& field, std::string_view text)
{
    using Form = TracepointField::Form;
    for (const auto& [prefix, form] : {std::pair{std::string_view("__data_loc "), Form::data_loc},
                                       std::pair{std::string_view("__rel_loc "), Form::rel_loc}})
        if (text.starts_with(prefix)) {
            field.form = form;
            text = trim(text.substr(prefix.size()));
        }
    if (const auto open = text.rfind('['); text.ends_with(']') && field.form == Form::plain) {
        field.form = Form::array;
        // The number may be a name; the size says the same.
        text = trim(text.substr(0, open));
    }
    const auto end = text.find_last_of(" *]");
    field.name = text.substr(end == text.npos ? 0 : end + 1);
    text = trim(text.substr(0, end == text.npos ? 0 : end + 1));
    if (text.ends_with("[]"))
        text = trim(text.substr(0, text.size() - 2));
    field.type = text;
}

} // namespace

std::vector<TracepointField> parse_tracepoint_format(std::string_view text)
{
    std::vector<TracepointField> fields;
    for (const std::string_view whole : split(text, '\n')) {
        const std::string_view line = trim(whole);
        const auto declaration = line.starts_with("field:") ? part(line, "field") : std::nullopt;
        const auto offset = part(line, "offset"), size = part(line, "size");
        if (!declaration || !offset || !size)
            continue;
        const auto at = to_number<std::uint32_t>(*offset), bytes = to_number<std::uint32_t>(*size);
        // What all records have, lies in front of what programs can read.
        constexpr std::uint32_t kCommonBytes = 8;
        if (!at || !bytes || *at < kCommonBytes)
            continue;
        TracepointField field;
        field.offset = *at;
        field.size = *bytes;
        field.is_signed = part(line, "signed").value_or("0") == "1";
        take_declaration(field, trim(*declaration));
        if (!field.name.empty() && !field.type.empty())
            fields.push_back(std::move(field));
    }
    return fields;
}

std::optional<std::vector<TracepointField>> read_tracepoint_fields(std::string_view event)
{
    std::string path(event);
    if (const auto colon = path.find(':'); colon != path.npos)
        path[colon] = '/';
    const auto text = read_file(cat(tracefs_path(), "/events/", path, "/format"));
    if (!text)
        return std::nullopt;
    auto fields = parse_tracepoint_format(*text);
    // The record of a system call's entry is longer on 7.2 than what programs are given.
    if (event.starts_with("syscalls:"))
        std::erase_if(fields, [](const TracepointField& f) {
            return f.form != TracepointField::Form::plain;
        });
    return fields;
}

} // namespace corebox
