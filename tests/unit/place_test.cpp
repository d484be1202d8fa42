// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What names mean at the places where programs run, and what of it a record holds.
#include "../../libbpf-tools/dynamic/place.hpp"
#include "../../libbpf-tools/dynamic/show.hpp"
#include "expr_print.hpp"
#include <cstring>
#include <gtest/gtest.h>

namespace
{

using namespace corebox;
using expr::Code;
using expr::Space;
using expr::Type;
using expr::TypeId;
using expr::Types;

// The typed form of an expression at a place, or what is wrong with it.
std::string form(Place& place, ContextForm form, std::string_view text, Types& types)
{
    Code code(types);
    try {
        return print(code, parse_value(code, names_at(place, form), text).node);
    } catch (const expr::TextError& error) {
        return cat("error: ", error.what());
    }
}

TEST(TracepointFields, OfAFormatFile)
{
    const auto fields = parse_tracepoint_format(R"(name: block_rq_issue
ID: 1206
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:dev_t dev;	offset:8;	size:4;	signed:0;
	field:sector_t sector;	offset:16;	size:8;	signed:0;
	field:int error;	offset:24;	size:4;	signed:1;
	field:char rwbs[8];	offset:32;	size:8;	signed:1;
	field:const char * name;	offset:40;	size:8;	signed:0;
	field:__data_loc char[] cmd;	offset:56;	size:4;	signed:1;
	field:__rel_loc char[] more;	offset:60;	size:4;	signed:1;
	field:unsigned long args[6];	offset:64;	size:48;	signed:0;
	broken line
print fmt: "%d,%d", REC->dev, "field:int x; offset:0; size:4;"
)");
    using Form = TracepointField::Form;
    ASSERT_EQ(fields.size(), 8u);
    const auto expect = [&](std::size_t i, std::string_view name, std::string_view type, Form f,
                            std::uint32_t offset, std::uint32_t size, bool is_signed) {
        EXPECT_EQ(fields[i].name, name);
        EXPECT_EQ(fields[i].type, type);
        EXPECT_EQ(fields[i].form, f);
        EXPECT_EQ(fields[i].offset, offset);
        EXPECT_EQ(fields[i].size, size);
        EXPECT_EQ(fields[i].is_signed, is_signed);
    };
    expect(0, "dev", "dev_t", Form::plain, 8, 4, false);
    expect(2, "error", "int", Form::plain, 24, 4, true);
    expect(3, "rwbs", "char", Form::array, 32, 8, true);
    expect(4, "name", "const char *", Form::plain, 40, 8, false);
    expect(5, "cmd", "char", Form::data_loc, 56, 4, true);
    expect(6, "more", "char", Form::rel_loc, 60, 4, true);
    expect(7, "args", "unsigned long", Form::array, 64, 48, false);
}

#ifdef __x86_64__
TEST(Place, ArgumentsOfAFunction)
{
    Types types;
    const TypeId sock = types.add(
        {.kind = Type::Kind::structure, .size = 16, .kernel_id = 7, .name = "struct sock"},
        [&](TypeId) {
            return std::vector<expr::Member>{{"state", types.integer(4, false), 64, 0}};
        });
    Place place{.name = "f"};
    place.prototype =
        Prototype{.parameters = {{"sk", types.pointer_to(sock, Space::kernel)},
                                 {"flags", types.integer(4, true)},
                                 {"name", types.pointer_to(types.character(), Space::kernel)}},
                  .returns = types.integer(4, true),
                  .words = 3};
    const auto typed = [&](std::string_view text) {
        return form(place, ContextForm::typed, text, types);
    };
    const auto registers = [&](std::string_view text) {
        return form(place, ContextForm::registers, text, types);
    };
    // A name has its own type, argN has 8 bytes.
    EXPECT_EQ(typed("flags"), "[ctx+8]:s32");
    EXPECT_EQ(typed("arg2"), "s64([ctx+8]:s32)");
    EXPECT_EQ(typed("sk->state"), "[[ctx]:struct sock*k+8]:u32");
    EXPECT_EQ(registers("sk->state"), "[[ctx+112]:struct sock*k+8]:u32");
    EXPECT_EQ(registers("arg2"), "s64([ctx+104]:s32)");
    EXPECT_EQ(registers("name"), "text([ctx+96]:char*)"); // no one knows where it is
    EXPECT_EQ(registers("ctx->bx"), "[ctx+40]:u64");
    EXPECT_TRUE(place.reads_registers);
    EXPECT_EQ(typed("ctx->bx"), "error: this probe has no registers");
    EXPECT_EQ(typed("arg4"), "error: f has 3 parameters");
    EXPECT_EQ(typed("retval"), "error: there is no return value here");
    EXPECT_EQ(typed("flag"), "error: unknown name 'flag'");

    place.kind = PlaceKind::returns;
    EXPECT_EQ(typed("retval"), "s64([ctx+24]:s32)");
    EXPECT_EQ(typed("$retval"), "s64([ctx+24]:s32)");
    EXPECT_EQ(registers("retval"), "s64([ctx+80]:s32)");
    EXPECT_EQ(registers("arg1"), "error: arguments are gone when a function returns");

    // Nothing is known of it: words.
    Place unknown{.name = "g"};
    EXPECT_EQ(form(unknown, ContextForm::registers, "arg1", types), "[ctx+112]:u64");
    EXPECT_EQ(form(unknown, ContextForm::registers, "arg7", types),
              "error: argument 7 of g is on the stack, where this probe does not read it");
    unknown.user_arguments = 1;
    EXPECT_EQ(form(unknown, ContextForm::registers, "arg1", types), "text([ctx+112]:char*u)");

    Place wrapper{.is_wrapper = true, .name = "__x64_sys_openat"};
    EXPECT_EQ(form(wrapper, ContextForm::registers, "arg4", types), "[[ctx+112]:void*k+56]:u64");

    Place user{.of_program = true, .name = "h"};
    user.prototype = Prototype{{{"s", types.pointer_to(types.character(), Space::kernel)}}};
    EXPECT_EQ(form(user, ContextForm::registers, "s", types), "text([ctx+112]:char*u)");
}

// A structure of two words, as bpf_prog_load(attr, bpfptr_t uattr, u32 size) takes one.
TEST(Place, ArgumentsBehindAStructure)
{
    Types types;
    const TypeId pair = types.add(
        {.kind = Type::Kind::structure, .size = 16, .kernel_id = 7, .name = "struct pair"},
        [&](TypeId) {
            return std::vector<expr::Member>{{"a", types.integer(8, false), 0, 0},
                                             {"b", types.integer(1, false), 64, 0}};
        });
    Place place{.kind = PlaceKind::returns, .name = "f"};
    place.prototype =
        prototype_of(types, {.name = "f",
                             .parameters = {{"p", pair}, {"size", types.integer(4, false)}},
                             .result = types.integer(4, true)});
    EXPECT_EQ(form(place, ContextForm::typed, "size", types), "[ctx+16]:u32");
    EXPECT_EQ(form(place, ContextForm::typed, "retval", types), "s64([ctx+24]:s32)");
    place.kind = PlaceKind::entry;
    EXPECT_EQ(form(place, ContextForm::registers, "size", types), "[ctx+96]:u32"); // rdx
}

TEST(Place, FieldsOfATracepoint)
{
    Types types;
    Place place{.kind = PlaceKind::tracepoint, .name = "a:b"};
    using Form = TracepointField::Form;
    place.fields = {{"n", "int", Form::plain, 8, 4, 0, true},
                    {"name", "char", Form::data_loc, 12, 4, 0, true},
                    {"comm", "char", Form::array, 16, 16, 0, true},
                    {"raw", "__u8", Form::array, 32, 4, 0, false}};
    const auto fields = [&](std::string_view text) {
        return form(place, ContextForm::tracepoint, text, types);
    };
    EXPECT_EQ(fields("args->n"), "[ctx+8]:s32");
    EXPECT_EQ(fields("n + 1"), "([ctx+8]:s32 + 1):s32");
    EXPECT_EQ(fields("args->comm"), "text(ctx+16, 16)");
    EXPECT_EQ(fields("args->name"), "text((ctx + (u64([ctx+12]:u32) & 65535:u64):u64):char*k)");
    EXPECT_EQ(fields("args->raw[2]"), "[ctx+34]:u8");
    EXPECT_EQ(fields("args->m"), "error: no field 'm' in a:b");

    // What a system call is given has a word each, and points into user space.
    Place call{.kind = PlaceKind::tracepoint, .name = "syscalls:sys_enter_openat"};
    call.fields = {{"dfd", "int", Form::plain, 16, 8, 0, false},
                   {"filename", "const char *", Form::plain, 24, 8, 0, false}};
    EXPECT_EQ(form(call, ContextForm::tracepoint, "args->dfd", types), "[ctx+16]:s32");
    EXPECT_EQ(form(call, ContextForm::tracepoint, "args->filename", types),
              "text([ctx+24]:char*u)");
}

TEST(Place, OperandsOfAUsdtProbe)
{
    Types types;
    Place place{.kind = PlaceKind::usdt, .of_program = true, .name = "p:q"};
    place.operands = {
        {.offset = -3, .kind = USDT_CONSTANT, .size = 4, .is_signed = 1},
        {.base = 112, .kind = USDT_REGISTER, .size = 1},
        {.base = 80, .kind = USDT_REGISTER, .size = 1, .shift = 8},
        {.offset = 16, .base = 152, .kind = USDT_MEMORY, .size = 4, .is_signed = 1},
        {.offset = 8,
         .base = USDT_NO_BASE,
         .index = 88,
         .kind = USDT_MEMORY,
         .scale = 4,
         .size = 8},
        {.offset = 100, .kind = USDT_RELATIVE, .size = 4},
        {},
    };
    const auto operand = [&](std::string_view text) {
        return form(place, ContextForm::registers, text, types);
    };
    EXPECT_EQ(operand("arg1"), "-3:s64");
    EXPECT_EQ(operand("arg2"), "u64(u8([ctx+112]:u64))");
    EXPECT_EQ(operand("arg3"), "u64(u8(([ctx+80]:u64 >> 8:u64):u64))");
    EXPECT_EQ(operand("arg4"), "s64([s32*u([ctx+152]:u64)+16]:s32)");
    EXPECT_EQ(operand("arg6"), "u64([u32*u([ctx+128]:u64)+100]:u32)");
    EXPECT_EQ(operand("arg7"), "error: argument 7 of p:q is in a place that cannot be read");
    EXPECT_EQ(operand("arg8"), "error: p:q has 7 arguments");
}
#endif

TEST(Capture, RecordsAreLaidOutAndRead)
{
    Types types;
    Place place{.kind = PlaceKind::tracepoint, .name = "a:b"};
    place.fields = {{"n", "int", TracepointField::Form::plain, 8, 4, 0, true},
                    {"comm", "char", TracepointField::Form::array, 16, 16, 0, true}};
    const ProbeSpec spec(R"(t:a:b "%d %s %5d|%s", args->n, args->comm, n * 2, str(args->comm, 4))");
    const MessageFormat format(*spec.format, spec.arguments);
    Code code(types);
    const RecordHead head{.size = 32, .missing = 16, .undecided = 24};
    Capture capture(code, names_at(place, ContextForm::tracepoint), head);
    for (std::size_t i = 0; i < spec.arguments.size(); i++)
        capture.add(spec.arguments[i], format.conversions[i]);
    capture.lay_out(80);
    const auto arguments = capture.arguments();
    ASSERT_EQ(arguments.size(), 4u);
    EXPECT_EQ(arguments[0].name, "n");
    EXPECT_EQ(arguments[1].name, "comm");
    EXPECT_EQ(arguments[2].name, "n * 2");
    EXPECT_EQ(arguments[0].offset, 32u);
    EXPECT_EQ(arguments[2].offset, 40u);
    EXPECT_EQ(arguments[1].offset, 48u);
    EXPECT_GE(arguments[3].offset, 48u + 4 + 17);

    std::vector<std::byte> record(capture.record_bytes());
    const auto put = [&](std::size_t at, auto value) {
        std::memcpy(record.data() + at, &value, sizeof value);
    };
    put(32, std::int64_t(-5));
    put(16, std::uint64_t(1) << 2); // n * 2 is missing
    put(48, std::uint32_t(4));
    std::memcpy(record.data() + 52, "abc", 4);
    put(arguments[3].offset, std::uint32_t(100)); // more than there is: cut
    ArgumentWriter writer(types);
    std::string text, json;
    for (std::size_t i = 0; i < arguments.size(); i++) {
        const CapturedValue value = read_captured(arguments[i], i, head, record);
        writer.append_text(text, arguments[i], value, {});
        writer.append_json(json, arguments[i], value, {});
        text += ';';
        json += ';';
    }
    EXPECT_TRUE(text.starts_with("-5;abc;    -;")) << text;
    EXPECT_TRUE(json.starts_with("-5;\"abc\";null;\"")) << json;
    // A record that is cut short has no more than it has.
    EXPECT_TRUE(read_captured(arguments[1], 1, head, std::span(record).first(40)).missing);
    EXPECT_TRUE(read_captured(arguments[0], 0, head, std::span(record).first(8)).missing);
}

TEST(Capture, NamesOfArgumentsAreKeysOfJson)
{
    EXPECT_EQ(name_of_argument("sk->__sk_common.skc_dport", {}), "skc_dport");
    EXPECT_EQ(name_of_argument("arg2     ", {}), "arg2");
    EXPECT_EQ(name_of_argument("$comm", {}), "comm");
    EXPECT_EQ(name_of_argument("STRCMP(\"a\\n\", s)", {}), "STRCMP('a?n', s)");
    const Captured taken{.name = "size"};
    EXPECT_EQ(name_of_argument("x->size", {&taken, 1}), "size_2");
}

TEST(Show, StructuresFlagsAndAddresses)
{
    Types types;
    const TypeId colour = types.add(
        {.kind = Type::Kind::enumeration, .size = 4, .name = "enum colour"}, nullptr, [](TypeId) {
            return std::vector<expr::Enumerator>{{"RED", 1}, {"GREEN", 2}, {"BLUE", 4}};
        });
    const TypeId inner = types.add({.kind = Type::Kind::structure, .size = 4}, [&](TypeId) {
        return std::vector<expr::Member>{{"low", types.integer(4, false), 0, 3},
                                         {"high", types.integer(4, true), 3, 5}};
    });
    const TypeId outer =
        types.add({.kind = Type::Kind::structure, .size = 32, .name = "struct s"}, [&](TypeId) {
            return std::vector<expr::Member>{
                {"n", types.integer(2, true), 0, 0},
                {"colour", colour, 32, 0},
                {"name", types.array_of(types.character(), 8), 64, 0},
                {"", inner, 128, 0},
                {"zero", types.integer(4, false), 160, 0},
                {"next", types.pointer_to(types.integer(4, false), Space::kernel), 192, 0}};
        });
    std::vector<std::byte> bytes(32);
    const auto put = [&](std::size_t at, auto value) {
        std::memcpy(bytes.data() + at, &value, sizeof value);
    };
    put(0, std::int16_t(-7));
    put(4, std::uint32_t(2));
    std::memcpy(bytes.data() + 8, "abc", 3);
    put(16, std::uint8_t(5 | 0x1f << 3));
    put(24, std::uint64_t(0xffff888000000010));
    std::string text, json;
    append_value(text, types, outer, bytes, false);
    append_value(json, types, outer, bytes, true);
    EXPECT_EQ(text, "{.n = -7, .colour = GREEN, .name = \"abc\", .low = 5, .high = -1, .next = "
                    "0xffff888000000010}");
    EXPECT_EQ(json, "{\"n\":-7,\"colour\":\"GREEN\",\"name\":\"abc\",\"low\":5,\"high\":-1,"
                    "\"zero\":0,\"next\":18446612682070032400}");
    EXPECT_EQ(name_flags(types, colour, 5), "RED|BLUE");
    EXPECT_EQ(name_flags(types, colour, 0x42), "GREEN|0x40");
    EXPECT_EQ(name_flags(types, colour, 0), "0");
}

} // namespace
