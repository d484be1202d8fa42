// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Command lines of trace, argdist and ksnoop that are anything at all: each ends in a record's
// layout and a program, or in an error that points into the text. COREBOX_FUZZ=100000 tries so
// many.
#include "../../libbpf-tools/dynamic/capture.hpp"
#include "../../libbpf-tools/dynamic/dist_spec.hpp"
#include "../../libbpf-tools/dynamic/format.hpp"
#include "../../libbpf-tools/dynamic/place.hpp"
#include "../../libbpf-tools/dynamic/snoop_spec.hpp"
#include "base/error.hpp"
#include "expr/declarations.hpp"
#include "expr_place.hpp"
#include <cstdlib>
#include <random>
#include <sys/resource.h>

namespace corebox::expr
{
namespace
{

constexpr std::string_view kSeeds[] = {
    R"(do_sys_openat2 "%s", arg2@user)",
    R"(p::vfs_read(struct sock *sk, u64 n) (sk->sk_state == TCP_ESTABLISHED && n > 4k) "%d %s", n, sk->sk_name)",
    R"(r:c:malloc (retval == 0 || retval in 1..5) "%lx %K", retval, retval)",
    R"(t:sched:sched_switch (args->prev_pid != 0 && args->comm ~ "a*[0-9]?z") "%-8s %5d", args->comm, args->prev_pid)",
    R"(u:python3:python:gc__start+4 (STRCMP("test", arg1@user)) "%c%p", arg1, arg2)",
    R"(f:tcp_connect(struct sock *sk) (sk->__sk_common.skc_daddr in 10.0.0.0/8) "%s", ip(&sk->__sk_common.skc_daddr))",
    R"(vfs_read (($task->comm =~ "^ba[rz]$") ? 1 : (sizeof(struct sock) << 3) % 7) "%s %u", $task->parent->comm, $task->table[2])",
    R"(x:foo (defined(sk->sk_name) && ntohs(sk->__sk_common.skc_dport) == 443) "%hhx %s", sk->__sk_common.skc_reuse, str(sk->sk_name, 8))",
    R"(foo(int n) "%s", flags(enum tcp_state, n), )",
    R"(c:write(int fd, const void *buf, size_t n) (n > 1ms && errno(retval) == EPERM) "%s", buf(buf, 16))",
    R"(p::__kmalloc(u64 size):u64:size#allocated)",
    R"(r:c:gets(char *s):char*,int:$entry(s)->x,$retval,by($comm),lhist($retval, 0, 100, 10):$latency > 100000)",
    R"(t:block:block_rq_issue():u32:args->nr_sector,sum(args->nr_sector),avg($latency):args->nr_sector != 0)",
    R"(tcp_connect(sk->sk_state, sk->__sk_common.skc_num > 3, return, retval == -1, sk->sk_load))",
    R"(container_of(sk, struct sock, sk_name)->sk_flags & 1 | -1 >> 63)"};

class SpecFuzz : public ExprParse
{
protected:
    std::mt19937 random_{4711};
    std::size_t pick(std::size_t n) { return std::size_t(random_()) % n; }

    // A seed with pieces of others, bytes changed, parts doubled and left out.
    std::string mutated()
    {
        std::string text(kSeeds[pick(std::size(kSeeds))]);
        for (std::size_t n = pick(6); n > 0; n--) {
            const std::string_view other = kSeeds[pick(std::size(kSeeds))];
            const std::size_t at = pick(text.size() + 1), from = pick(other.size());
            switch (pick(6)) {
            case 0:
                text.insert(at, other.substr(from, pick(30)));
                break;
            case 1:
                text.erase(at, pick(12));
                break;
            case 2:
                if (at < text.size())
                    text[at] = char(random_());
                break;
            case 3:
                text.insert(at, text.substr(pick(text.size() + 1), pick(40)));
                break;
            case 4: {
                static constexpr std::string_view kMarks = "()[]{}\"'\\,:;.->*&!~^%#$@0x9f ";
                text.insert(at, 1 + pick(3), kMarks[pick(kMarks.size())]);
                break;
            }
            default: // deeply nested
                text.insert(at, std::string(pick(400), "(!-~*"[pick(5)]));
            }
            if (text.empty())
                text = "x";
        }
        return text;
    }

    Place make_place(std::size_t kind)
    {
        Place place{.kind = PlaceKind(kind), .of_program = pick(2) == 0, .name = "function"};
        const TypeId n = types_.integer(4, true);
        if (pick(3) != 0)
            place.prototype = Prototype{
                .parameters = {{"sk",
                                types_.pointer_to(*types_.find("struct", "sock"), Space::kernel)},
                               {"n", n},
                               {"s", types_.pointer_to(types_.character(), Space::unknown)}},
                .returns = n,
                .words = 3};
        place.fields = {{.name = "prev_pid", .type = "pid_t", .offset = 8, .size = 4},
                        {.name = "comm", .type = "char", .offset = 16, .size = 16}};
        place.fields[1].form = TracepointField::Form::array;
        return place;
    }

    void generate(const Capture& capture, bool typed)
    {
        Machine machine{};
        machine.typed = typed;
        machine.task_btf = pick(2) == 0;
        // Whether the verifier would follow a chain of members.
        machine.structs.walk = [this](std::uint32_t, std::uint32_t, std::uint32_t) {
            return std::int64_t(pick(2)) - 1;
        };
        const Capture::Body body = capture.generate(machine);
        EXPECT_GT(body.instructions.size(), 0u);
    }

    void try_trace(const std::string& text)
    {
        ProbeSpec spec(text);
        Place place = make_place(std::size_t(spec.kind));
        place.user_arguments = spec.user_arguments;
        if (spec.signature)
            parse_signature(types_, spec.signature->text);
        const MessageFormat format =
            spec.format ? MessageFormat(*spec.format, spec.arguments) : MessageFormat();
        static constexpr ContextForm kForms[] = {ContextForm::typed, ContextForm::words,
                                                 ContextForm::registers, ContextForm::tracepoint};
        const ContextForm form = kForms[pick(std::size(kForms))];
        Code code(types_);
        Capture capture(code, names_at(place, form), {.size = 48, .missing = 32, .undecided = 40});
        if (spec.condition)
            capture.set_condition(*spec.condition);
        for (std::size_t i = 0; i < spec.arguments.size(); i++)
            capture.add(spec.arguments[i], format.conversions[i]);
        capture.lay_out(80);
        capture.let_user_space_decide();
        EXPECT_LE(capture.record_bytes(), Capture::kMostBytes);
        generate(capture, form == ContextForm::typed);
    }

    void try_argdist(const std::string& text)
    {
        const DistSpec spec(text);
        Place place = make_place(std::size_t(spec.probe->kind));
        Code code(types_);
        Capture capture(code, names_at(place, ContextForm::registers),
                        {.size = 16, .missing = 8, .undecided = 4});
        if (spec.filter)
            capture.set_condition(*spec.filter);
        for (const DistSpec::Expression& expression : spec.expressions)
            capture.add(expression.piece, {.letter = 'd', .bytes = 8});
        capture.lay_out(80, true);
        generate(capture, false);
    }

    void try_ksnoop(const std::string& text)
    {
        const SnoopSpec spec(text);
        Place place = make_place(std::size_t(PlaceKind::returns));
        Code code(types_);
        Capture capture(code, with_return(names_at(place, ContextForm::typed)),
                        {.size = 16, .missing = 8, .undecided = 4});
        for (const SnoopSpec::Argument& argument : spec.arguments) {
            if (argument.is_condition)
                capture.set_condition(argument.whole);
            if (!argument.value.text.empty())
                capture.add(argument.value, {});
        }
        capture.lay_out(80);
        generate(capture, true);
    }
};

TEST_F(SpecFuzz, AnyTextEndsInAProgramOrAnError)
{
    const char* asked = std::getenv("COREBOX_FUZZ");
    const int rounds = asked ? std::atoi(asked) : 2000;
    struct rusage before;
    ::getrusage(RUSAGE_SELF, &before);
    int programs = 0;
    for (int round = 0; round < rounds; round++) {
        const std::string text = mutated();
        try {
            switch (round % 3) {
            case 0:
                try_argdist(text);
                break;
            case 1:
                try_ksnoop(text);
                break;
            default:
                try_trace(text);
            }
            programs++;
        } catch (const TextError& error) {
            EXPECT_STRNE(error.what(), "");
            EXPECT_LE(error.at, text.size() + 64) << text;
            EXPECT_FALSE(point_at(text, error).empty());
        } catch (const Failure& error) { // a place that is none
            EXPECT_FALSE(error.message.empty());
        }
    }
    EXPECT_GT(programs, rounds / 20); // it is not refused for one reason at its beginning
    EXPECT_LT(programs, rounds);
    struct rusage after;
    ::getrusage(RUSAGE_SELF, &after);
    EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 100 << 10) << "KiB";
}

} // namespace
} // namespace corebox::expr
