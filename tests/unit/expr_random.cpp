// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr_layout.hpp"
#include "expr_world.hpp"

namespace corebox::test
{

using namespace expr;

namespace
{

constexpr const char* kPatterns[] = {"*",
                                     "a*",
                                     "*a",
                                     "ab?",
                                     "?",
                                     "",
                                     "nginx*",
                                     "*x*",
                                     "/etc/*",
                                     "/etc/*.conf",
                                     "[a-c]*",
                                     "*[!a-z]",
                                     "a*a",
                                     "/usr/*/lib*.so.[0-9]",
                                     "[[]*",
                                     "???????",
                                     "nginx-worker",
                                     "aaaaaaaaaaaaaaa?",
                                     "*aaaa*aaaa"};

} // namespace

TypeId RandomCode::type() { return kernel_.types.integer(below(2) ? 4 : 8, below(2)); }

NodeId RandomCode::constant(std::int64_t value, TypeId type)
{
    const Type& t = kernel_.types[type];
    const unsigned cut = 64 - t.size * 8;
    const std::uint64_t up = std::uint64_t(value) << cut;
    return code_.add({.op = Op::constant,
                      .type = type,
                      .value = t.is_signed ? std::int64_t(up) >> cut : std::int64_t(up >> cut)});
}

NodeId RandomCode::convert(NodeId a, TypeId type)
{
    return code_[a].type == type ? a : code_.add({.op = Op::convert, .type = type, .a = a});
}

NodeId RandomCode::binary(Op op, NodeId a, NodeId b, TypeId type)
{
    return code_.add({.op = op, .type = type, .a = a, .b = b});
}

NodeId RandomCode::pointer(int depth)
{
    const TypeId type = kernel_.types.pointer_to(kernel_.node, kernel_.space);
    const NodeId context = code_.add({.op = Op::context});
    switch (depth > 0 ? below(8) : below(2)) {
    case 0:
        return code_.add(
            {.op = Op::load, .trusted = true, .type = type, .a = context, .value = kNodeArgument});
    case 1:
        return code_.add(
            {.op = Op::load, .trusted = true, .type = type, .a = context, .value = kOtherNode});
    case 2:
        if (kernel_.in_user)
            return pointer(0);
        return code_.add({.op = Op::helper, .helper = Helper::task, .type = type});
    case 3: // container_of of a member
        return code_.add({.op = Op::address,
                          .type = type,
                          .a = code_.add({.op = Op::address,
                                          .type = type,
                                          .a = pointer(depth - 1),
                                          .value = FakeKernel::kPair}),
                          .value = -std::int64_t(FakeKernel::kPair)});
    case 4:
        return code_.add({.op = Op::select,
                          .type = type,
                          .a = test(0),
                          .b = pointer(depth - 1),
                          .c = pointer(depth - 1)});
    default:
        return code_.add({.op = Op::load,
                          .type = type,
                          .a = pointer(depth - 1),
                          .value = below(2) ? FakeKernel::kNext : FakeKernel::kOther});
    }
}

NodeId RandomCode::any_number(TypeId type)
{
    Types& types = kernel_.types;
    const NodeId record = code_.add({.op = Op::record}), context = code_.add({.op = Op::context});
    const unsigned size = types[type].size;
    switch (below(6)) {
    case 0:
    case 1:
        return code_.add({.op = Op::load,
                          .type = type,
                          .a = record,
                          .value = std::int64_t(below(64 / size) * size)});
    case 2:
        return code_.add({.op = Op::load,
                          .type = type,
                          .size = 8,
                          .a = context,
                          .value = below(2) ? kNumber1 : kNumber2});
    default: {
        const Field& f = kNumbers[below(std::size(kNumbers))];
        return code_.add({.op = Op::load,
                          .type = types.integer(f.size, f.is_signed),
                          .a = pointer(int(below(3))),
                          .value = f.offset});
    }
    case 4: {
        const unsigned bits = 1 + below(16), bit = below(31 - bits);
        return code_.add({.op = Op::load,
                          .bit = std::uint8_t(bit),
                          .bits = std::uint8_t(bits),
                          .type = types.integer(4, below(2)),
                          .size = 4,
                          .a = below(2) ? pointer(1) : record,
                          .value = FakeKernel::kBits});
    }
    }
}

NodeId RandomCode::leaf(TypeId type)
{
    constexpr std::int64_t kValues[] = {
        0,    1,     -1,         2,          7,          10,          255,       256,      -128,
        4096, 65535, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, INT64_MIN, INT64_MAX};
    switch (below(8)) {
    case 0:
    case 1:
        return constant(kValues[below(std::size(kValues))], type);
    case 2:
        return convert(code_.add({.op = Op::helper,
                                  .helper = Helper::pid_tgid,
                                  .type = kernel_.types.integer(8, false)}),
                       type);
    case 3:
        if (with_user_space)
            return code_.add({.op = Op::column, .type = type});
        [[fallthrough]];
    default:
        return convert(any_number(kernel_.types.integer(1u << below(4), below(2))), type);
    }
}

NodeId RandomCode::number(int depth, TypeId type)
{
    constexpr Op kOps[] = {Op::add,        Op::subtract,   Op::multiply, Op::divide,
                           Op::modulo,     Op::bit_and,    Op::bit_or,   Op::bit_xor,
                           Op::shift_left, Op::shift_right};
    if (depth == 0)
        return leaf(type);
    switch (below(12)) {
    case 0:
        return code_.add({.op = Op::negate, .type = type, .a = number(depth - 1, type)});
    case 1:
        return code_.add({.op = Op::complement, .type = type, .a = number(depth - 1, type)});
    case 2: {
        const unsigned size = 1u << below(4);
        return convert(
            convert(number(depth - 1, this->type()), kernel_.types.integer(size, below(2))), type);
    }
    case 3:
        return code_.add({.op = Op::select,
                          .type = type,
                          .a = test(depth - 1),
                          .b = number(depth - 1, type),
                          .c = number(depth - 1, type)});
    case 4:
        return convert(test(depth - 1), type);
    case 5: {
        const unsigned size = 2u << below(3);
        const TypeId swapped = kernel_.types.integer(size, false);
        return convert(code_.add({.op = Op::swap_bytes,
                                  .type = swapped,
                                  .size = size,
                                  .a = convert(number(depth - 1, this->type()), swapped)}),
                       type);
    }
    case 6:
        return convert(convert(number(depth - 1, type), kernel_.types.boolean()), type);
    case 7:
        if (below(2)) // a pointer, whatever it is taken for
            return convert(code_.add({.op = Op::load,
                                      .type = kernel_.types.integer(8, below(2)),
                                      .a = pointer(depth),
                                      .value = FakeKernel::kNext}),
                           type);
        return convert(convert(pointer(depth), kernel_.types.integer(8, false)), type);
    default: {
        const Op op = kOps[below(std::size(kOps))];
        const bool shifts = op == Op::shift_left || op == Op::shift_right;
        return binary(op, number(depth - 1, type), number(depth - 1, shifts ? this->type() : type),
                      type);
    }
    }
}

NodeId RandomCode::text(int depth)
{
    Types& types = kernel_.types;
    const NodeId record = code_.add({.op = Op::record}), context = code_.add({.op = Op::context});
    const auto from = [&](NodeId pointer, std::int64_t offset, std::uint32_t size) {
        return code_.add({.op = Op::text,
                          .type = types.character(),
                          .size = size,
                          .a = pointer,
                          .value = offset});
    };
    const auto behind = [&](NodeId base, std::int64_t offset, Space space) {
        return from(code_.add({.op = Op::load,
                               .type = types.pointer_to(types.character(), space),
                               .a = base,
                               .value = offset}),
                    0, 0);
    };
    switch (below(depth > 0 ? 12 : 10)) {
    case 0:
        return from(record, kShortText, 16);
    case 1:
        return from(record, kMiddleText, 200);
    case 2:
        return from(record, kLongRecordText, 232);
    case 3:
        return from(pointer(2), FakeKernel::kName, 16);
    case 4:
        return behind(pointer(1), FakeKernel::kText, kernel_.space);
    case 5:
        return behind(pointer(1), FakeKernel::kUserText, Space::user);
    case 6:
        return behind(context, kKernelText, kernel_.space);
    case 7:
        return behind(context, test::kUserText, Space::user);
    case 8:
        return behind(context, kUnknown, Space::unknown);
    case 9:
        return behind(context, kLongText, Space::unknown);
    case 10:
        return code_.add({.op = Op::select,
                          .type = types.character(),
                          .a = test(0),
                          .b = text(depth - 1),
                          .c = text(depth - 1)});
    default:
        if (!with_user_space)
            return text(0);
        return code_.add(
            {.op = Op::known, .type = types.character(), .a = test(0), .b = text(depth - 1)});
    }
}

NodeId RandomCode::text_test()
{
    constexpr Op kOps[] = {Op::text_equal, Op::text_differs, Op::text_prefix, Op::glob, Op::glob};
    const Op op = with_user_space && below(10) == 0 ? Op::regex : kOps[below(std::size(kOps))];
    std::string literal;
    if (op == Op::glob) {
        literal = kPatterns[below(std::size(kPatterns))];
    } else {
        literal = kTexts[below(std::size(kTexts))];
        if (below(8) == 0)
            literal += std::string(below(300), 'a');
    }
    return code_.add({.op = op,
                      .type = kernel_.types.integer(4, true),
                      .a = text(1),
                      .value = code_.add_text(literal)});
}

NodeId RandomCode::test(int depth)
{
    const TypeId integer = kernel_.types.integer(4, true);
    if (depth > 0) {
        switch (below(6)) {
        case 0:
            return binary(Op::logical_and, test(depth - 1), test(depth - 1), integer);
        case 1:
            return binary(Op::logical_or, test(depth - 1), test(depth - 1), integer);
        case 2:
            return code_.add({.op = Op::logical_not, .type = integer, .a = test(depth - 1)});
        default:
            break;
        }
    }
    const TypeId type = this->type();
    switch (below(12)) {
    case 0:
        return code_.add({.op = Op::truth, .type = integer, .a = number(depth, type)});
    case 1:
        return code_.add(
            {.op = Op::defined, .type = integer, .a = below(2) ? text(0) : number(depth, type)});
    case 2: {
        std::vector<std::int64_t> set;
        for (unsigned n = below(4) + 1; n > 0; n--)
            set.push_back(code_[constant(std::int64_t(random_()), type)].value);
        set.push_back(code_[constant(below(3), type)].value);
        return code_.add({.op = Op::one_of,
                          .type = integer,
                          .a = number(depth, type),
                          .value = code_.add_set(set)});
    }
    case 3:
        return binary(below(2) ? Op::equal : Op::not_equal, pointer(2), pointer(2), integer);
    case 4:
    case 5:
    case 6:
        return text_test();
    default: {
        constexpr Op kOps[] = {Op::equal, Op::not_equal, Op::less, Op::less_or_equal};
        return binary(kOps[below(4)], number(depth, type), number(depth, type), integer);
    }
    }
}

} // namespace corebox::test
