// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Runs without a kernel side: what a host makes of them, side by side in one process.
#include "session/host.hpp"
#include <algorithm>
#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <new>
#include <unistd.h>

namespace corebox
{
namespace
{

using testing::ElementsAre;

constexpr Tool kTool{.about = {.name = "fake", .area = "test", .summary = "-", .details = "-"},
                     .options = {},
                     .positionals = {},
                     .letters = {},
                     .columns = {},
                     .needs = {},
                     .shared = Shared::none,
                     .interval = {},
                     .make_options = nullptr,
                     .open = nullptr,
                     .inspect = nullptr};

// What a sink was given, in order.
struct Seen {
    std::vector<int> rows;
    std::vector<Lost> losses;
    std::vector<Totals> accounts;
};

class Recorder final : public Sink
{
public:
    Recorder(Seen& seen, std::size_t breaks_after) : Sink({}), seen_(seen), after_(breaks_after) {}
    void header() override {}
    void row(const void* row) override { seen_.rows.push_back(*static_cast<const int*>(row)); }
    void begin_histograms(const HistogramLook&) override {}
    void begin_report(const HistogramLook&, std::uint64_t) override {}
    void histogram(const HistogramLook&, const HistogramReport&) override {}
    void loss(const Lost& lost) override { seen_.losses.push_back(lost); }
    void account(const Totals& totals) override { seen_.accounts.push_back(totals); }
    void flush() override {}
    State state() const override
    {
        return seen_.rows.size() < after_ ? State::open : State::failed;
    }

private:
    Seen& seen_;
    std::size_t after_;
};

// What happens in a fake run, which the test keeps while the host has the run.
struct Fake {
    explicit Fake(std::size_t breaks_after = ~std::size_t(0))
    {
        EXPECT_EQ(::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK), 0);
        auto s = std::make_unique<Session>(kTool);
        session = s.get();
        owned = std::make_unique<Run>(std::move(s), std::make_unique<Recorder>(seen, breaks_after),
                                      Account(kernel, {}));
        owned->data_fd = pipe[0];
        run = owned.get();
        owned->set_state(std::make_unique<State>(*this));
    }
    ~Fake()
    {
        ::close(pipe[0]);
        ::close(pipe[1]);
    }
    void send(int from, int to) const
    {
        for (int n = from; n < to; n++)
            EXPECT_EQ(::write(pipe[1], &n, sizeof n), ssize_t(sizeof n));
    }

    // Reads numbers from a pipe: one row each, of which the odd ones are filtered.
    struct State {
        explicit State(Fake& f) : fake(f) {}
        bool drain() const
        {
            int n;
            if (::read(fake.pipe[0], &n, sizeof n) != sizeof n)
                return false;
            Account& account = fake.run->account;
            if (n == fake.starve_at) {
                fake.run->out_of_memory = true;
                account.unread++;
            } else if (n % 2) {
                account.filtered++;
            } else {
                fake.run->sink->row(&n);
                account.printed++;
            }
            return true;
        }
        std::uint64_t count_unread() const
        {
            std::uint64_t n = 0;
            for (int number; ::read(fake.pipe[0], &number, sizeof number) == sizeof number;)
                n++;
            return n;
        }
        void report(bool last) const
        {
            fake.reports.push_back(last);
            fake.run->account.printed += fake.counts;
        }
        bool is_complete() const { return fake.seen.rows.size() >= fake.most; }
        void detach() const { fake.detached++; }
        Fake& fake;
    };

    std::array<int, 2> pipe{};
    std::array<cpu_account, 2> kernel{};
    Seen seen;
    std::vector<bool> reports;
    std::size_t most = ~std::size_t(0);
    std::uint64_t counts = 0; // in each interval
    int detached = 0, starve_at = -1;
    Session* session = nullptr;
    std::unique_ptr<Run> owned;
    Run* run = nullptr;
};

class HostTest : public testing::Test
{
protected:
    // The test's process keeps its privileges.
    void SetUp() override { ::setenv("COREBOX_PRIVILEGES", "keep", 1); }
    void TearDown() override { ::unsetenv("COREBOX_PRIVILEGES"); }
    Host host;
};

TEST_F(HostTest, TwoRunsHaveAnAccountEach)
{
    Fake stream, counter;
    stream.send(0, 7);
    stream.most = 3;
    counter.kernel[0].filtered = 5;
    counter.kernel[1].lost_map = 2;
    counter.session->interval = std::chrono::milliseconds(5);
    counter.session->count = 3;
    counter.counts = 10;
    host.add(std::move(stream.owned));
    host.add(std::move(counter.owned));
    EXPECT_EQ(host.run(), Exit::lost); // the worse of the two

    EXPECT_THAT(stream.seen.rows, ElementsAre(0, 2, 4, 6)); // what waits at the end is read
    ASSERT_EQ(stream.seen.accounts.size(), 1u);
    EXPECT_EQ(stream.seen.accounts[0].seen(), 7u);
    EXPECT_EQ(stream.seen.accounts[0].filtered, 3u);
    EXPECT_EQ(stream.seen.accounts[0].lost, Lost{});
    EXPECT_TRUE(stream.seen.losses.empty());

    EXPECT_THAT(counter.reports, ElementsAre(false, false, true));
    ASSERT_EQ(counter.seen.accounts.size(), 1u);
    EXPECT_EQ(counter.seen.accounts[0].printed, 30u);
    EXPECT_EQ(counter.seen.accounts[0].filtered, 5u);
    EXPECT_EQ(counter.seen.accounts[0].lost.map, 2u);
    ASSERT_EQ(counter.seen.losses.size(), 1u); // once, not at each interval
    EXPECT_EQ(stream.detached, 1);
    EXPECT_EQ(counter.detached, 1);
}

TEST_F(HostTest, OneMayEndLongBeforeTheOther)
{
    Fake brief, lasting;
    brief.session->duration = std::chrono::milliseconds(1);
    lasting.session->duration = std::chrono::milliseconds(60);
    lasting.session->interval = std::chrono::milliseconds(10);
    host.add(std::move(brief.owned));
    host.add(std::move(lasting.owned));
    EXPECT_EQ(host.run(), Exit::complete);
    EXPECT_EQ(brief.seen.accounts.size(), 1u);
    EXPECT_GT(lasting.reports.size(), 1u);
}

// The end of the duration and of the last interval are one moment: no empty interval follows.
TEST_F(HostTest, ADurationOfWholeIntervalsEndsWithTheLast)
{
    for (int i = 0; i < 20; i++) {
        Host own;
        Fake fake;
        fake.session->interval = std::chrono::milliseconds(1);
        fake.session->duration = std::chrono::milliseconds(10);
        own.add(std::move(fake.owned));
        EXPECT_EQ(own.run(), Exit::complete);
        EXPECT_LE(fake.reports.size(), 10u); // fewer if this machine is busy
        EXPECT_TRUE(fake.reports.back());
    }
}

TEST_F(HostTest, WithoutMemoryTheAccountStillAddsUp)
{
    Fake fake;
    fake.starve_at = 4;
    fake.send(0, 5);
    host.add(std::move(fake.owned));
    EXPECT_EQ(host.run(), Exit::cannot_run);
    ASSERT_EQ(fake.seen.accounts.size(), 1u);
    EXPECT_EQ(fake.seen.accounts[0].seen(), 5u);
    EXPECT_EQ(fake.seen.accounts[0].lost.unread, 1u);
}

TEST_F(HostTest, OutputThatFailsEndsTheRun)
{
    Fake fake(2);
    fake.send(0, 9);
    host.add(std::move(fake.owned));
    EXPECT_EQ(host.run(), Exit::output);
    EXPECT_EQ(fake.detached, 1);
    ASSERT_EQ(fake.seen.accounts.size(), 1u);
    EXPECT_EQ(fake.seen.accounts[0].seen(), 9u);
    EXPECT_EQ(fake.seen.accounts[0].lost.unread, 6u); // 0 and 2 were printed, 1 was filtered
}

} // namespace
} // namespace corebox
