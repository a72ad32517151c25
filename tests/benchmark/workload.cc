#include "tests/benchmark/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <random>
#include <span>

// "cpu" and "iot" follow the Time Series Benchmark Suite's use cases of those names: the same tags,
// fields, types and ten-second interval, and values that walk at random, by a normal step and
// within the same limits. Every series gets one point each interval, in turn.

namespace sluice::benchmark {
namespace {

constexpr int64_t kIntervalSeconds = 10;

// Normal steps, drawn ahead: a generator that is slower than the server would measure itself.
class Steps {
 public:
  Steps() {
    std::mt19937_64 random(42);
    std::normal_distribution<float> normal(0, 1);
    for (float& step : steps_) step = normal(random);
  }
  float Next() {
    // A stride that is odd and far from regular reuses them in another order each time.
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return steps_[state_ >> 48];
  }
  uint32_t NextBits() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 32);
  }

 private:
  std::vector<float> steps_ = std::vector<float>(1 << 16);
  uint64_t state_ = 1;
};

// A value that walks between two limits.
void Walk(float& value, float step, float low, float high) {
  value = std::clamp(value + step, low, high);
}

void AppendInteger(std::string& out, int64_t value) {
  fmt::format_int text(value);
  out.append(text.data(), text.size());
}

// With a fixed number of decimals.
void AppendDecimal(std::string& out, float value, int64_t scale, size_t decimals) {
  int64_t scaled = std::llround(static_cast<double>(value) * static_cast<double>(scale));
  if (scaled < 0) out.push_back('-');
  scaled = std::abs(scaled);
  AppendInteger(out, scaled / scale);
  fmt::format_int fraction(scaled % scale + scale);
  out.push_back('.');
  out.append(fraction.data() + 1, decimals);
}

std::string_view Pick(std::span<const std::string_view> choices, uint32_t bits) {
  return choices[bits % choices.size()];
}

constexpr std::array<std::string_view, 9> kRegions = {
    "us-east-1",      "us-west-1",  "us-west-2",      "eu-west-1",      "eu-central-1",
    "ap-southeast-1", "ap-south-1", "ap-northeast-1", "ap-southeast-2",
};
constexpr std::array<std::string_view, 2> kArchitectures = {"x64", "x86"};
constexpr std::array<std::string_view, 4> kTeams = {"SF", "NYC", "LON", "CHI"};
constexpr std::array<std::string_view, 3> kSystems = {"Ubuntu16.10", "Ubuntu16.04LTS",
                                                      "Ubuntu15.10"};
constexpr std::array<std::string_view, 3> kEnvironments = {"production", "staging", "test"};

// The tags of one host; which it has follows from its number alone.
void AppendHost(std::string& out, int64_t host) {
  std::minstd_rand random(static_cast<uint32_t>(host) + 1);
  random.discard(3);
  std::string_view region = Pick(kRegions, random());
  fmt::format_to(std::back_inserter(out),
                 "cpu,hostname=host_{},region={},datacenter={}{},rack={},os={},arch={},team={},"
                 "service={},service_version={},service_environment={}",
                 host, region, region, "abc"[random() % 3], random() % 100,
                 Pick(kSystems, random()), Pick(kArchitectures, random()), Pick(kTeams, random()),
                 random() % 20, random() % 2, Pick(kEnvironments, random()));
}

constexpr std::array<std::string_view, 10> kCpuFields = {
    " usage_user=", ",usage_system=",  ",usage_idle=",  ",usage_nice=",  ",usage_iowait=",
    ",usage_irq=",  ",usage_softirq=", ",usage_steal=", ",usage_guest=", ",usage_guest_nice="};

// How the series of a workload follow one another.
class Clock {
 public:
  Clock(const WorkloadOptions& options, int64_t series)
      : series_(series), start_s_(options.start_s) {}

  int64_t series() const { return point_ % series_; }
  int64_t round() const { return point_ / series_; }
  int64_t seconds() const { return start_s_ + round() * kIntervalSeconds; }
  void Tick() { ++point_; }

 private:
  const int64_t series_;
  const int64_t start_s_;
  int64_t point_ = 0;
};

class Lines : public Workload {
 public:
  Lines(const WorkloadOptions& options, int64_t series, int64_t lines)
      : lines_(options.lines > 0 ? options.lines : lines),
        series_(options.series > 0 ? options.series : series),
        clock_(options, series_) {}

  void Next(std::string& body) final {
    body.clear();
    for (int64_t i = 0; i < lines_; ++i) {
      AppendPoint(body);
      clock_.Tick();
    }
  }
  int64_t lines_in_body() const final { return lines_; }

 protected:
  virtual void AppendPoint(std::string& body) = 0;

  void AppendTime(std::string& body, int64_t seconds) {
    body.push_back(' ');
    AppendInteger(body, seconds);
    body.append("000000000\n");
  }

  const int64_t lines_;
  const int64_t series_;
  Clock clock_;
  Steps steps_;
};

// TSBS "cpu-only": 10 tags, 10 integer fields.
class Cpu : public Lines {
 public:
  explicit Cpu(const WorkloadOptions& options, int64_t series = 1000, int64_t lines = 5000)
      : Lines(options, series, lines) {
    // Ten million series would not fit; theirs are made when needed, and their values not kept.
    if (series_ > kMaxKept) return;
    values_.resize(static_cast<size_t>(series_) * kCpuFields.size());
    for (float& value : values_) value = static_cast<float>(steps_.NextBits() % 101);
    for (int64_t host = 0; host < series_; ++host) AppendHost(hosts_.emplace_back(), host);
  }

 protected:
  void AppendPoint(std::string& body) override {
    AppendHostAndFields(body);
    AppendTime(body, clock_.seconds());
  }

  void AppendHostAndFields(std::string& body) {
    size_t host = static_cast<size_t>(clock_.series());
    if (hosts_.empty()) {
      AppendHost(body, clock_.series());
    } else {
      body.append(hosts_[host]);
    }
    for (size_t f = 0; f < kCpuFields.size(); ++f) {
      body.append(kCpuFields[f]);
      if (hosts_.empty()) {
        AppendInteger(body, steps_.NextBits() % 101);
      } else {
        float& value = values_[host * kCpuFields.size() + f];
        Walk(value, steps_.Next(), 0, 100);
        AppendInteger(body, static_cast<int64_t>(value));
      }
      body.push_back('i');
    }
  }

 private:
  static constexpr int64_t kMaxKept = 1'000'000;

  std::vector<std::string> hosts_;
  std::vector<float> values_;
};

// The same points, each up to an hour late.
class OutOfOrder : public Cpu {
 public:
  using Cpu::Cpu;

 protected:
  void AppendPoint(std::string& body) override {
    AppendHostAndFields(body);
    AppendTime(body, clock_.seconds() - steps_.NextBits() % 360 * kIntervalSeconds);
  }
};

// A tag set that no other line has.
class NewTags : public Cpu {
 public:
  explicit NewTags(const WorkloadOptions& options) : Cpu(options) {}

 protected:
  void AppendPoint(std::string& body) override {
    AppendHostAndFields(body);
    size_t fields = body.rfind(' ');
    body.insert(fields, fmt::format(",request=r{}", next_++));
    AppendTime(body, clock_.seconds());
  }

 private:
  int64_t next_ = 0;
};

// TSBS "iot": trucks, each with a point in "readings" (7 float fields) and one in "diagnostics"
// (3), and 8 tags.
class Iot : public Lines {
 public:
  explicit Iot(const WorkloadOptions& options) : Lines(options, 2000, 5000) {
    constexpr std::array<std::string_view, 4> kFleets = {"East", "West", "North", "South"};
    constexpr std::array<std::string_view, 4> kDrivers = {"Derek", "Rodney", "Albert", "Andy"};
    constexpr std::array<std::string_view, 3> kModels = {"F-150", "G-2000", "H-2"};
    constexpr std::array<std::string_view, 3> kVersions = {"v1.0", "v1.5", "v2.3"};
    for (int64_t truck = 0; truck < series_ / 2; ++truck) {
      tags_.push_back(fmt::format(
          ",name=truck_{},fleet={},driver={},model={},device_version={},load_capacity={},"
          "fuel_capacity={},nominal_fuel_consumption={}",
          truck, Pick(kFleets, steps_.NextBits()), Pick(kDrivers, steps_.NextBits()),
          Pick(kModels, steps_.NextBits()), Pick(kVersions, steps_.NextBits()),
          1500 + 500 * (truck % 3), 150 + 50 * (truck % 4), 12 + truck % 4));
      Truck& values = trucks_.emplace_back();
      values.latitude = static_cast<float>(steps_.NextBits() % 180) - 90;
      values.longitude = static_cast<float>(steps_.NextBits() % 360) - 180;
      values.fuel = 1;
    }
  }

 protected:
  void AppendPoint(std::string& body) override {
    size_t truck = static_cast<size_t>(clock_.series() / 2);
    bool readings = clock_.series() % 2 == 0;
    body.append(readings ? "readings" : "diagnostics");
    body.append(tags_[truck]);
    if (readings) {
      AppendReadings(body, trucks_[truck]);
    } else {
      AppendDiagnostics(body, trucks_[truck]);
    }
    AppendTime(body, clock_.seconds());
  }

 private:
  struct Truck {
    float latitude = 0, longitude = 0, elevation = 100, velocity = 0, heading = 0, grade = 0;
    float consumption = 25, fuel = 1, load = 0;
    int64_t status = 0;
  };

  void AppendReadings(std::string& body, Truck& truck) {
    Walk(truck.latitude, steps_.Next() / 200, -90, 90);
    Walk(truck.longitude, steps_.Next() / 200, -180, 180);
    Walk(truck.elevation, steps_.Next() * 10, 0, 500);
    Walk(truck.velocity, steps_.Next() * 10, 0, 100);
    Walk(truck.heading, steps_.Next() * 5, 0, 360);
    Walk(truck.grade, steps_.Next() * 5, 0, 100);
    Walk(truck.consumption, steps_.Next(), 0, 50);
    body.append(" latitude=");
    AppendDecimal(body, truck.latitude, 100000, 5);
    body.append(",longitude=");
    AppendDecimal(body, truck.longitude, 100000, 5);
    body.append(",elevation=");
    AppendInteger(body, static_cast<int64_t>(truck.elevation));
    body.append(",velocity=");
    AppendInteger(body, static_cast<int64_t>(truck.velocity));
    body.append(",heading=");
    AppendInteger(body, static_cast<int64_t>(truck.heading));
    body.append(",grade=");
    AppendInteger(body, static_cast<int64_t>(truck.grade));
    body.append(",fuel_consumption=");
    AppendDecimal(body, truck.consumption, 10, 1);
  }

  void AppendDiagnostics(std::string& body, Truck& truck) {
    Walk(truck.fuel, -std::abs(steps_.Next()) / 1000, 0, 1);
    if (truck.fuel == 0) truck.fuel = 1;
    Walk(truck.load, steps_.Next() * 100, 0, 5000);
    if (steps_.NextBits() % 50 == 0) truck.status = steps_.NextBits() % 6;
    body.append(" fuel_state=");
    AppendDecimal(body, truck.fuel, 10, 1);
    body.append(",current_load=");
    AppendInteger(body, static_cast<int64_t>(truck.load));
    body.append(",status=");
    AppendInteger(body, truck.status);
    body.push_back('i');
  }

  std::vector<std::string> tags_;
  std::vector<Truck> trucks_;
};

// Points of one tag and any number of float fields, in any number of tables that take turns.
class Plain : public Lines {
 public:
  Plain(const WorkloadOptions& options, size_t fields, int64_t tables)
      : Lines(options, 1000, 5000), tables_(tables) {
    for (size_t f = 0; f < fields; ++f) {
      names_.push_back(fmt::format("{}field_{}=", f == 0 ? ' ' : ',', f));
    }
    values_.resize(static_cast<size_t>(series_) * fields, 50);
  }

 protected:
  void AppendPoint(std::string& body) override {
    int64_t series = clock_.series();
    fmt::format_to(std::back_inserter(body), "table_{},device=d{}", series % tables_, series);
    for (size_t f = 0; f < names_.size(); ++f) {
      float& value = values_[static_cast<size_t>(series) * names_.size() + f];
      Walk(value, steps_.Next(), 0, 100);
      body.append(names_[f]);
      AppendDecimal(body, value, 100, 2);
    }
    AppendTime(body, clock_.seconds());
  }

 private:
  const int64_t tables_;
  std::vector<std::string> names_;
  std::vector<float> values_;
};

// Log lines: three string fields that differ, of about 300 bytes.
class Strings : public Lines {
 public:
  explicit Strings(const WorkloadOptions& options) : Lines(options, 1000, 5000) {}

 protected:
  void AppendPoint(std::string& body) override {
    constexpr std::array<std::string_view, 5> kPaths = {"/login", "/cart", "/item", "/search",
                                                        "/api/v2/orders"};
    constexpr std::array<std::string_view, 3> kAgents = {
        "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36", "curl/7.88.1"};
    std::string_view path = Pick(kPaths, steps_.NextBits());
    fmt::format_to(std::back_inserter(body),
                   "requests,host=web-{} url=\"{}?id={}&session={:08x}{:08x}\",agent=\"{}\","
                   "message=\"request {} took {} ms and was answered with \\\"{}\\\"\",status={}i",
                   clock_.series(), path, steps_.NextBits() % 100000, steps_.NextBits(),
                   steps_.NextBits(), Pick(kAgents, steps_.NextBits()), path,
                   steps_.NextBits() % 500, steps_.NextBits() % 50 == 0 ? "not found" : "fine",
                   steps_.NextBits() % 50 == 0 ? 404 : 200);
    AppendTime(body, clock_.seconds());
  }
};

using Options = const WorkloadOptions&;
using Make = std::function<std::unique_ptr<Workload>(Options)>;

struct KnownShape {
  Shape shape;
  Make make;
};

const std::vector<KnownShape>& KnownShapes() {
  static const std::vector<KnownShape> shapes = {
      {{"cpu", "TSBS cpu-only: 10 tags, 10 integer fields, 1,000 hosts"},
       [](Options o) { return std::make_unique<Cpu>(o); }},
      {{"iot", "TSBS iot: 8 tags, 7 or 3 fields in two tables, 1,000 trucks"},
       [](Options o) { return std::make_unique<Iot>(o); }},
      {{"one-point", "cpu, one line a request"},
       [](Options o) { return std::make_unique<Cpu>(o, 1000, 1); }},
      {{"one-field", "one tag, one float field"},
       [](Options o) { return std::make_unique<Plain>(o, 1, 1); }},
      {{"hundred-fields", "one tag, 100 float fields"},
       [](Options o) { return std::make_unique<Plain>(o, 100, 1); }},
      {{"new-tags", "cpu with one more tag, whose value no other line has"},
       [](Options o) { return std::make_unique<NewTags>(o); }},
      {{"many-tables", "one tag, one float field, 500 tables in turn"},
       [](Options o) { return std::make_unique<Plain>(o, 1, 500); }},
      {{"strings", "one tag, three string fields of 60 to 120 bytes, one integer"},
       [](Options o) { return std::make_unique<Strings>(o); }},
      {{"out-of-order", "cpu, each point up to an hour late"},
       [](Options o) { return std::make_unique<OutOfOrder>(o); }},
      {{"many-series", "cpu, 10,000,000 hosts"},
       [](Options o) { return std::make_unique<Cpu>(o, 10'000'000); }},
  };
  return shapes;
}

}  // namespace

std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (const KnownShape& known : KnownShapes()) shapes.push_back(known.shape);
  return shapes;
}

std::unique_ptr<Workload> MakeWorkload(const WorkloadOptions& options) {
  for (const KnownShape& known : KnownShapes()) {
    if (known.shape.name == options.shape) return known.make(options);
  }
  return nullptr;
}

}  // namespace sluice::benchmark
