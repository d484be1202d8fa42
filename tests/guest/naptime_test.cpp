// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Sleeps of known length.
#include "waits.hpp"
#include <ctime>
#include <unistd.h>

namespace
{

using namespace corebox::test;

class NaptimeRung : public EachRung
{
};

TEST_P(NaptimeRung, SleepsWithTheirParents)
{
    const Result r =
        watch("naptime", {},
              [] {
                  name("napper");
                  for (unsigned ms = 1; ms <= 5; ms++) {
                      const timespec t{0, ms * 1'000'000 + 7};
                      EXPECT_EQ(::nanosleep(&t, nullptr), 0);
                  }
                  for (const clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME}) {
                      timespec end{};
                      ::clock_gettime(clock, &end);
                      end.tv_nsec += 30'000'000;
                      if (end.tv_nsec >= 1'000'000'000) {
                          end.tv_nsec -= 1'000'000'000;
                          end.tv_sec++;
                      }
                      EXPECT_EQ(::clock_nanosleep(clock, TIMER_ABSTIME, &end, nullptr), 0);
                  }
              },
              {.env = env(), .others_too = true});
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    ASSERT_EQ(r.records.size(), 7u) << r.out;
    for (unsigned i = 0; i < 5; i++)
        EXPECT_NEAR(r.records[i].at("sleep_s").get<double>(), (i + 1) * 1e-3 + 7e-9, 1e-12);
    for (unsigned i = 5; i < 7; i++) {
        EXPECT_GT(r.records[i].at("sleep_s"), 0.0) << r.out;
        EXPECT_LE(r.records[i].at("sleep_s").get<double>(), 0.0301) << r.out;
    }
    for (const Json& row : r.records) {
        EXPECT_EQ(row.at("comm"), "napper");
        EXPECT_EQ(row.at("ppid"), ::getpid());
        EXPECT_EQ(row.at("pcomm"), "guest_tests");
    }
}
INSTANTIATE_TEST_SUITE_P(Probes, NaptimeRung, testing::Values("", "kprobe"), rung_name);

} // namespace
