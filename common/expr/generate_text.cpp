// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Texts: comparisons word by word, patterns by an automaton, copies.
#include "expr/generate_impl.hpp"
#include <algorithm>
#include <cstring>

namespace corebox::expr
{

namespace
{

constexpr int kContext = 6, kRecord = 7;
// Texts up to this are copied or matched without a helper.
constexpr std::uint32_t kMaxPlainText = 64;
constexpr std::uint32_t kTurn = 32; // characters of a turn of the automaton's loop

// The largest aligned word at `offset` within `bytes`.
unsigned word_at(std::int64_t offset, std::size_t bytes)
{
    unsigned size = 8;
    while (size > bytes || offset % size != 0)
        size /= 2;
    return size;
}

} // namespace

// Can all its words be loaded without a helper?
bool Generator::Impl::is_plain_text(const Place& p, std::uint32_t bytes)
{
    if (p.base == Place::Base::record)
        return true;
    for (std::uint32_t i = 0; i < bytes;) {
        const unsigned size = word_at(p.offset + i, bytes - i);
        if (p.base == Place::Base::context) {
            // Arguments are whole words; only tracepoints have texts there.
            if (machine_.typed || p.offset < 0)
                return false;
        } else if (walk(p, p.offset + i, size) != KernelStructs::kNumber) {
            return false;
        }
        i += size;
    }
    return true;
}

void Generator::Impl::compare_bytes(int base, std::int64_t offset, std::string_view bytes,
                                    Label differs)
{
    while (!bytes.empty()) {
        const unsigned size = word_at(offset, bytes.size());
        std::int64_t word = 0;
        std::memcpy(&word, bytes.data(), size);
        out_.load(size, 1, base, std::int32_t(offset));
        if (size == 8) {
            out_.move(2, word);
            out_.jump_if(BPF_JNE, 1, 2, differs);
        } else {
            out_.jump32_if_imm(BPF_JNE, 1, std::int32_t(word), differs);
        }
        bytes.remove_prefix(size);
        offset += size;
    }
}

// A text that is equal, or begins so, has all these bytes, so they can be read at once. If that
// fails it is another text, or missing.
void Generator::Impl::compare_text(const Node& n, std::string_view literal, bool is_whole,
                                   Label equal, Label differs, Label no, Label next)
{
    std::string bytes(literal);
    if (is_whole && (n.size == 0 || bytes.size() < n.size))
        bytes += '\0';
    const Place p = place(n.a, n.value);
    const auto size = std::uint32_t(std::max<std::size_t>(bytes.size(), 1));
    if (literal.find('\0') != literal.npos || (n.size && literal.size() > n.size)) {
        test_readable(n, differs, no, next);
        return;
    }
    if (is_plain_text(p, size)) {
        int base = p.base == Place::Base::record ? kRecord : kContext;
        if (p.base == Place::Base::pointer)
            make_pointer(p, base = 0, true);
        compare_bytes(base, p.offset, bytes, differs);
        go(equal, next);
        return;
    }
    const bool asks = differs != no; // which of both it is
    const Label failed = asks ? out_.new_label() : no;
    int address = 0;
    if (size > kTextRoom || asks) {
        make_address(p, 3);
        out_.move(0, 3);
        address = hold();
    }
    if (size <= kTextRoom) {
        if (!asks)
            make_address(p, 3);
        stack_address(1, kText);
        read(size, p.space, failed);
        compare_bytes(kFrame, kText, bytes, differs);
    } else {
        read_beginning(p, literal, failed, differs);
        scratch_value(no);
        out_.move(1, 0);
        peek(address, 3);
        const int scratch = hold();
        read(size, p.space, failed);
        release(scratch, 0);
        compare_bytes(0, 0, bytes, differs);
    }
    go(equal, asks ? failed : next);
    if (asks) {
        out_.bind(failed);
        peek(address, 3);
        stack_address(1, kText);
        read_text(std::min(size, kTextRoom), p.space, no);
        go(differs, next);
    }
    if (size > kTextRoom || asks)
        held_--;
}

// Most texts differ at their beginning, so that is read, from r3, before the whole.
void Generator::Impl::read_beginning(const Place& p, std::string_view literal, Label failed,
                                     Label differs)
{
    literal = literal.substr(0, kTextRoom);
    if (literal.empty())
        return;
    stack_address(1, kText);
    read(std::uint32_t(literal.size()), p.space, failed);
    compare_bytes(kFrame, kText, literal, differs);
}

void Generator::Impl::match(const Node& n, const Glob& glob, Label yes, Label no, Label undecided)
{
    if (n.size && glob.literal().size() > n.size) {
        out_.jump(no);
        return;
    }
    const Place p = place(n.a, n.value);
    const bool is_short = n.size && n.size <= kTextBytes;
    const std::uint32_t bytes = is_short ? n.size : kTextBytes;
    if (p.base == Place::Base::record && n.size) {
        compare_bytes(kRecord, p.offset, std::string_view(glob.literal()).substr(0, bytes), no);
        out_.move(2, kRecord);
        run_automaton(glob, p.offset, bytes, is_short, yes, no, undecided);
        return;
    }
    if (p.base == Place::Base::pointer && n.size && n.size <= kTurn && is_plain_text(p, n.size)) {
        make_pointer(p, 0, true);
        compare_bytes(0, p.offset, glob.literal(), no);
        out_.move(2, 0);
        run_automaton(glob, p.offset, bytes, true, yes, no, undecided);
        return;
    }
    make_address(p, 3);
    out_.move(0, 3);
    const int address = hold();
    read_beginning(p, glob.literal(), no, no);
    scratch_value(no);
    out_.move(1, 0);
    release(address, 3);
    const int scratch = hold();
    if (is_short) // to its end, where there need be no NUL
        read(bytes, p.space, no);
    else // one more than is looked at: the NUL that the helper writes there is not the text's
        read_text(bytes + 1, p.space, no);
    release(scratch, 2);
    run_automaton(glob, 0, bytes, is_short, yes, no, undecided);
}

// Over `bytes` at r2 + offset, which are the whole text or not. Without a branch for each
// character, which would be too many paths for a verifier.
void Generator::Impl::run_automaton(const Glob& glob, std::int64_t offset, std::uint32_t bytes,
                                    bool is_all, Label yes, Label no, Label undecided)
{
    const auto table = std::uint32_t(tables_.size() * sizeof tables_[0]);
    glob.append_table(tables_);
    const auto length = std::int32_t(glob.length());
    const auto step = [&](std::uint32_t i) {
        out_.load(1, 1, 2, std::int32_t(offset + i));
        out_.alu_imm(BPF_LSH, 1, 4);
        out_.alu(BPF_ADD, 1, 4);
        out_.load(8, 5, 1, 0);
        out_.load(8, 1, 1, 8);
        out_.alu(BPF_AND, 5, 0);
        out_.alu_imm(BPF_LSH, 5, 1);
        out_.alu(BPF_AND, 0, 1);
        out_.alu(BPF_OR, 0, 5);
    };
    out_.map_value(4, machine_.tables_fd, table);
    out_.move(0, std::int64_t(1));
    if (bytes > kTurn) {
        const Label again = out_.new_label();
        out_.move(3, std::int64_t(0));
        out_.bind(again);
        for (std::uint32_t i = 0; i < kTurn; i++)
            step(i);
        out_.jump_if_imm(BPF_JEQ, 0, 0, no);
        out_.move(1, 0);
        out_.alu_imm(BPF_RSH, 1, length + 1);
        out_.jump_if_imm(BPF_JNE, 1, 0, yes);
        out_.alu_imm(BPF_ADD, 2, std::int32_t(kTurn));
        out_.alu_imm(BPF_ADD, 3, 1);
        out_.jump_if_imm(BPF_JNE, 3, std::int32_t(bytes / kTurn), again);
        bytes %= kTurn;
    }
    for (std::uint32_t i = 0; i < bytes; i++)
        step(i);
    if (is_all || glob.ends_with_star()) { // nothing more has to follow
        out_.alu_imm(BPF_RSH, 0, length);
        out_.jump_if_imm(BPF_JNE, 0, 0, yes);
    } else {
        out_.jump_if_imm(BPF_JEQ, 0, 0, no);
        out_.alu_imm(BPF_RSH, 0, length + 1);
        out_.jump_if_imm(BPF_JNE, 0, 0, yes);
    }
    out_.jump(is_all ? no : undecided);
}

bool Generator::Impl::is_text(NodeId id) const
{
    const Op op = node(id).op;
    return op == Op::text || ((op == Op::select || op == Op::known) && is_text(node(id).b));
}

void Generator::Impl::test_text(const Node& test, NodeId text, Label yes, Label no, Label undecided,
                                Label next)
{
    const Node n = node(text);
    if (branch_each(n, undecided, next, [&](NodeId part, Label after) {
            test_text(test, part, yes, no, undecided, after);
        }))
        return;
    if (n.op != Op::text || test.op == Op::regex || side_of_text(test) == Side::user) {
        go(undecided, next);
        return;
    }
    const std::string_view literal = code_.text(test.value);
    if (test.op == Op::text_differs) {
        compare_text(n, literal, true, no, yes, no, next);
        return;
    }
    if (test.op != Op::glob) {
        compare_text(n, literal, test.op == Op::text_equal, yes, no, no, next);
        return;
    }
    const Glob glob(literal);
    if (glob.is_literal() || glob.is_prefix())
        compare_text(n, glob.literal(), glob.is_literal(), yes, no, no, next);
    else
        match(n, glob, yes, no, undecided);
}

void Generator::Impl::test_defined_text(NodeId text, Label yes, Label no, Label undecided,
                                        Label next)
{
    const Node n = node(text);
    if (branch_each(n, undecided, next, [&](NodeId part, Label after) {
            test_defined_text(part, yes, no, undecided, after);
        }))
        return;
    if (n.op == Op::text)
        test_readable(n, yes, no, next);
    else
        go(undecided, next);
}

void Generator::Impl::test_readable(const Node& text, Label yes, Label no, Label next)
{
    const Place p = place(text.a, text.value);
    if (p.base == Place::Base::pointer && is_plain_text(p, 1)) {
        make_pointer(p, 0, true);
    } else if (p.base == Place::Base::pointer && yes != no) {
        make_address(p, 3);
        stack_address(1, kText);
        read_text(text.size && text.size < kTextRoom ? text.size : kTextRoom, p.space, no);
    }
    go(yes, next);
}

void Generator::Impl::copy_text(NodeId text, std::int32_t offset, std::uint32_t room)
{
    const Node n = node(text);
    if (n.op == Op::select || n.op == Op::known) {
        const Label then = out_.new_label(), done = out_.new_label();
        const Label otherwise = n.op == Op::known ? exits_.undecided : out_.new_label();
        condition(n.a, then, otherwise, exits_.undecided, then);
        out_.bind(then);
        copy_text(n.b, offset, room);
        if (n.op == Op::select) {
            out_.jump(done);
            out_.bind(otherwise);
            copy_text(n.c, offset, room);
        }
        out_.bind(done);
        return;
    }
    if (n.op != Op::text) {
        out_.jump(exits_.undecided);
        return;
    }
    const Place p = place(n.a, n.value);
    // Those of structures, such as task->comm, with what is behind their NUL.
    const bool has_room = n.size && n.size <= kMaxPlainText && n.size < room;
    if (has_room && p.base != Place::Base::context && is_plain_text(p, n.size)) {
        int base = kRecord;
        if (p.base == Place::Base::pointer)
            make_pointer(p, base = 0, true);
        for (std::uint32_t i = 0; i < n.size;) {
            const unsigned size =
                std::min(word_at(p.offset + i, n.size - i), word_at(offset + i, n.size - i));
            out_.load(size, 1, base, std::int32_t(p.offset + i));
            out_.store(size, kRecord, std::int32_t(offset + i), 1);
            i += size;
        }
        out_.store_imm(1, kRecord, std::int32_t(offset + n.size), 0);
        out_.move(0, std::int64_t(n.size + 1));
        return;
    }
    make_address(p, 3);
    out_.move(1, kRecord);
    add_offset(1, offset);
    if (has_room) {
        read(n.size, p.space, exits_.missing);
        out_.store_imm(1, kRecord, std::int32_t(offset + n.size), 0);
        out_.move(0, std::int64_t(n.size + 1));
    } else {
        read_text(n.size ? std::min(n.size, room) : room, p.space, exits_.missing);
        if (p.space != Space::kernel) { // which for an empty text returns 0 (mm/maccess.c)
            const Label done = out_.new_label();
            out_.jump_if_imm(BPF_JNE, 0, 0, done);
            out_.move(0, std::int64_t(1));
            out_.bind(done);
        }
    }
}

void Generator::Impl::copy_bytes(NodeId address, std::int32_t offset, std::uint32_t size)
{
    make_address(place(address, 0), 3);
    out_.move(1, kRecord);
    add_offset(1, offset);
    read(size, place(address, 0).space, exits_.missing);
}

} // namespace corebox::expr
