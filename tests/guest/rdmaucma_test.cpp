// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Events of RDMA's connection manager, which happen without a device, too: that there is none for
// an address.
#include "harness.hpp"
#include "net.hpp"
#include <cstring>
#include <fcntl.h>
#include <net/if.h>
#include <rdma/rdma_user_cm.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

template <class Command>
bool ask(int fd, std::uint32_t number, std::uint16_t answer_size, Command command)
{
    struct {
        rdma_ucm_cmd_hdr header;
        Command command;
    } all{{number, sizeof command, answer_size}, command};
    return ::write(fd, &all, sizeof all) == sizeof all;
}

// Looks for the way to 10.9.9.2, behind a device that is none of RDMA's.
void resolve()
{
    const int fd = ::open("/dev/infiniband/rdma_cm", O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0) << errno;
    rdma_ucm_create_id_resp made{};
    rdma_ucm_create_id create{};
    create.response = reinterpret_cast<std::uintptr_t>(&made);
    create.ps = RDMA_PS_TCP;
    ASSERT_TRUE(ask(fd, RDMA_USER_CM_CMD_CREATE_ID, sizeof made, create)) << errno;
    rdma_ucm_resolve_ip where{};
    const SocketAddress to("10.9.9.2", 4791);
    std::memcpy(&where.dst_addr, &to.storage, sizeof where.dst_addr);
    where.id = made.id;
    where.timeout_ms = 100;
    EXPECT_TRUE(ask(fd, RDMA_USER_CM_CMD_RESOLVE_IP, 0, where)) << errno;
    ::usleep(500'000);
    ::close(fd);
}

class Rdmaucma : public testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        ASSERT_EQ(shell("modprobe rdma_ucm && modprobe dummy && ip link set dummy0 up && "
                        "ip addr add 10.9.9.1/24 dev dummy0")
                      .status,
                  0);
    }
};

TEST_F(Rdmaucma, EventsOfAnAddressWithoutADevice)
{
    for (const char* rung : {"", "kprobe"}) {
        Tracer tool{{"rdmaucma", "--json"}, forced(rung)};
        resolve();
        const Result result = tool.stop();
        expect_exact(result);
        ASSERT_EQ(result.records.size(), 1u) << result.out;
        const Json& r = result.records[0];
        EXPECT_EQ(r.at("event"), "address error");
        EXPECT_EQ(r.at("status"), -ENODEV);
        EXPECT_EQ(r.at("family"), "IPv4");
        EXPECT_EQ(r.at("raddr"), "10.9.9.2");
        EXPECT_EQ(r.at("rport"), 4791);
    }
    ASSERT_EQ(shell("rmmod rdma_ucm").status, 0);
    const Result result = run({"rdmaucma"});
    EXPECT_EQ(result.status, 2);
    EXPECT_NE(result.err.find("modprobe rdma_ucm"), std::string::npos) << result.err;
    EXPECT_EQ(shell("modprobe rdma_ucm && ip link del dummy0").status, 0); // for other tests
}

} // namespace
