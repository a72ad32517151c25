#include "server/resources/container.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/fixture/temp_dir.h"

namespace sluice::server {
namespace {

class ContainerTest : public testing::Test {
 protected:
  void Put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = dir_.path() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  ContainerLimits Read() const { return ReadContainerLimits(dir_.path()); }

  fixture::TempDir dir_;
};

TEST_F(ContainerTest, NothingThereIsNoLimit) {
  EXPECT_FALSE(Read().memory_bytes.has_value());
  EXPECT_FALSE(Read().cpus.has_value());
  EXPECT_GT(AvailableMemory(Read()), 0u);
  EXPECT_GE(AvailableCpus(Read()), 1u);
}

TEST_F(ContainerTest, V2AsAContainerSeesIt) {
  Put("/proc/self/cgroup", "0::/\n");
  Put("/sys/fs/cgroup/memory.max", "536870912\n");
  Put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
  EXPECT_EQ(Read().memory_bytes, 536870912u);
  EXPECT_EQ(Read().cpus, 1.5);
  EXPECT_EQ(AvailableMemory(Read()), 536870912u);
  EXPECT_LE(AvailableCpus(Read()), 2u);
}

TEST_F(ContainerTest, V2OfAHostTakesTheLeastOfAllGroups) {
  Put("/proc/self/cgroup", "0::/pods/one/main\n");
  Put("/sys/fs/cgroup/pods/one/main/memory.max", "max\n");
  Put("/sys/fs/cgroup/pods/one/memory.max", "1000\n");
  Put("/sys/fs/cgroup/pods/memory.max", "5000\n");
  Put("/sys/fs/cgroup/pods/one/main/cpu.max", "max 100000\n");
  EXPECT_EQ(Read().memory_bytes, 1000u);
  EXPECT_FALSE(Read().cpus.has_value());
}

TEST_F(ContainerTest, V1) {
  Put("/proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n");
  // The path is the host's, the mount the container's own.
  Put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n");
  Put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n");
  Put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Read().memory_bytes, 268435456u);
  EXPECT_EQ(Read().cpus, 0.5);
  EXPECT_EQ(AvailableCpus(Read()), 1u);
}

TEST_F(ContainerTest, V1WithoutLimits) {
  Put("/proc/self/cgroup", "5:memory:/\n4:cpu:/\n");
  Put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  Put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(Read().memory_bytes.has_value());
  EXPECT_FALSE(Read().cpus.has_value());
}

TEST_F(ContainerTest, WhatIsNoNumberIsNoLimit) {
  Put("/proc/self/cgroup", "garbage\n0::/\n0:\n::\n");
  Put("/sys/fs/cgroup/memory.max", "1e9\n");
  Put("/sys/fs/cgroup/cpu.max", "100 0\n");
  EXPECT_FALSE(Read().memory_bytes.has_value());
  EXPECT_FALSE(Read().cpus.has_value());
}

}  // namespace
}  // namespace sluice::server
