#include "tests/deploy/manifests.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"

namespace fairlead::deploy {
namespace {

namespace fs = std::filesystem;
using Problems = std::vector<std::string>;

// Collects problems of one manifest.
class Report {
 public:
  explicit Report(const Manifest& manifest)
      : prefix_(absl::StrCat(manifest.file, ": ", manifest.Kind(), " ", manifest.Name(), ": ")) {}
  void Require(bool holds, const std::string& what) {
    if (!holds) problems_.push_back(prefix_ + what);
  }
  Problems Take() { return std::move(problems_); }

 private:
  const std::string prefix_;
  Problems problems_;
};

std::string Text(const YAML::Node& node) { return node.IsScalar() ? node.Scalar() : ""; }

// Follows keys; a null node where one is missing.
YAML::Node At(YAML::Node node, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (!node.IsMap()) return YAML::Node();
    const YAML::Node& constant = node;  // the constant [] does not insert what is missing
    const YAML::Node next = constant[key];
    if (!next.IsDefined()) return YAML::Node();
    node.reset(next);
  }
  return node;
}

bool Has(const YAML::Node& node) { return !node.IsNull(); }

YAML::Node PodSpec(const Manifest& workload) {
  return At(workload.node, {"spec", "template", "spec"});
}

std::vector<YAML::Node> Items(const YAML::Node& node) {
  std::vector<YAML::Node> items;
  if (node.IsSequence()) {
    for (const YAML::Node& item : node) items.push_back(item);
  }
  return items;
}

std::vector<YAML::Node> Containers(const Manifest& workload) {
  std::vector<YAML::Node> all = Items(At(PodSpec(workload), {"initContainers"}));
  for (const YAML::Node& container : Items(At(PodSpec(workload), {"containers"}))) {
    all.push_back(container);
  }
  return all;
}

absl::StatusOr<std::string> ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error(absl::StatusCode::kNotFound, "FILE_MISSING", path.string());
  return std::string(std::istreambuf_iterator<char>(in), {});
}

absl::StatusOr<std::vector<Manifest>> ReadManifests(const fs::path& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return ParseManifests(path.string(), text);
}

absl::Status ReadGenerators(const YAML::Node& generators, const fs::path& dir, Kustomization* out) {
  for (const YAML::Node& generator : Items(generators)) {
    out->generated.push_back(Text(At(generator, {"name"})));
    for (const YAML::Node& file : Items(At(generator, {"files"}))) {
      const std::vector<std::string> key_and_path = absl::StrSplit(Text(file), '=');
      RETURN_IF_ERROR(ReadFile(dir / key_and_path.back()).status());
    }
  }
  return absl::OkStatus();
}

std::map<std::string, std::string> Labels(const YAML::Node& node) {
  std::map<std::string, std::string> labels;
  if (node.IsMap()) {
    for (const auto& entry : node) labels[Text(entry.first)] = Text(entry.second);
  }
  return labels;
}

bool Selects(const YAML::Node& selector, const Manifest& workload) {
  const auto pod = Labels(At(workload.node, {"spec", "template", "metadata", "labels"}));
  for (const auto& [key, value] : Labels(selector)) {
    const auto found = pod.find(key);
    if (found == pod.end() || found->second != value) return false;
  }
  return true;
}

bool HasPort(const Manifest& workload, const std::string& name) {
  for (const YAML::Node& container : Containers(workload)) {
    for (const YAML::Node& port : Items(At(container, {"ports"}))) {
      if (Text(At(port, {"name"})) == name || Text(At(port, {"containerPort"})) == name)
        return true;
    }
  }
  return false;
}

void CheckSelector(const Manifest& manifest, const std::vector<Manifest>& all, Report* report) {
  const std::string kind = manifest.Kind();
  YAML::Node selector;
  if (kind == "Service") selector.reset(At(manifest.node, {"spec", "selector"}));
  if (kind == "PodDisruptionBudget") {
    selector.reset(At(manifest.node, {"spec", "selector", "matchLabels"}));
  }
  if (kind == "NetworkPolicy") {
    selector.reset(At(manifest.node, {"spec", "podSelector", "matchLabels"}));
  }
  if (IsWorkload(manifest)) selector.reset(At(manifest.node, {"spec", "selector", "matchLabels"}));
  if (!Has(selector)) return;
  int selected = 0;
  for (const Manifest& workload : all) {
    if (!IsWorkload(workload) || !Selects(selector, workload)) continue;
    ++selected;
    if (kind != "Service") continue;
    for (const YAML::Node& port : Items(At(manifest.node, {"spec", "ports"}))) {
      const std::string target = Text(At(port, {"targetPort"}));
      report->Require(HasPort(workload, target), "no container port " + target);
    }
  }
  report->Require(selected > 0, "its selector selects no pod");
}

void CheckProbePort(const Manifest& workload, const YAML::Node& probe, Report* report) {
  for (const std::string kind : {"grpc", "httpGet", "tcpSocket"}) {
    const YAML::Node port = At(probe, {kind, "port"});
    if (Has(port)) report->Require(HasPort(workload, Text(port)), "no probed port " + Text(port));
  }
}

}  // namespace

std::string Manifest::Kind() const { return Text(At(node, {"kind"})); }
std::string Manifest::Name() const { return Text(At(node, {"metadata", "name"})); }

bool IsWorkload(const Manifest& manifest) {
  return Has(At(manifest.node, {"spec", "template", "spec"}));
}

absl::StatusOr<std::vector<Manifest>> ParseManifests(const std::string& file,
                                                     const std::string& text) {
  try {
    std::vector<Manifest> manifests;
    for (const YAML::Node& node : YAML::LoadAll(text)) {
      if (!node.IsNull()) manifests.push_back({file, node});
    }
    return manifests;
  } catch (const YAML::Exception& error) {
    return Error(absl::StatusCode::kInvalidArgument, "YAML",
                 absl::StrCat(file, ": ", error.what()));
  }
}

absl::StatusOr<Kustomization> LoadKustomization(const std::string& dir) {
  Kustomization all;
  ASSIGN_OR_RETURN(const auto files, ReadManifests(fs::path(dir) / "kustomization.yaml"));
  if (files.size() != 1) {
    return Error(absl::StatusCode::kInvalidArgument, "YAML", dir + ": not one kustomization");
  }
  const YAML::Node node = files[0].node;
  for (const YAML::Node& resource : Items(At(node, {"resources"}))) {
    const fs::path path = fs::path(dir) / Text(resource);
    if (fs::is_directory(path)) {
      ASSIGN_OR_RETURN(Kustomization base, LoadKustomization(path.string()));
      all.resources.insert(all.resources.end(), base.resources.begin(), base.resources.end());
      all.patches.insert(all.patches.end(), base.patches.begin(), base.patches.end());
      all.generated.insert(all.generated.end(), base.generated.begin(), base.generated.end());
    } else {
      ASSIGN_OR_RETURN(const auto manifests, ReadManifests(path));
      all.resources.insert(all.resources.end(), manifests.begin(), manifests.end());
    }
  }
  for (const YAML::Node& patch : Items(At(node, {"patches"}))) {
    const std::string path = Text(At(patch, {"path"}));
    if (path.empty()) continue;
    ASSIGN_OR_RETURN(const auto manifests, ReadManifests(fs::path(dir) / path));
    all.patches.insert(all.patches.end(), manifests.begin(), manifests.end());
  }
  RETURN_IF_ERROR(ReadGenerators(At(node, {"configMapGenerator"}), dir, &all));
  RETURN_IF_ERROR(ReadGenerators(At(node, {"secretGenerator"}), dir, &all));
  return all;
}

Problems CheckIdentity(const Manifest& manifest) {
  Report report(manifest);
  report.Require(!Text(At(manifest.node, {"apiVersion"})).empty(), "no apiVersion");
  report.Require(!manifest.Kind().empty(), "no kind");
  report.Require(!manifest.Name().empty(), "no metadata.name");
  return report.Take();
}

Problems CheckPodSecurity(const Manifest& workload) {
  Report report(workload);
  const YAML::Node pod = PodSpec(workload);
  const auto field = [&](const std::string& key) {
    return Text(At(pod, {"securityContext", key}));
  };
  report.Require(field("runAsNonRoot") == "true", "runAsNonRoot is not true");
  report.Require(field("runAsUser") == "65532", "runAsUser is not 65532");
  report.Require(Text(At(pod, {"securityContext", "seccompProfile", "type"})) == "RuntimeDefault",
                 "seccompProfile is not RuntimeDefault");
  report.Require(Text(At(pod, {"automountServiceAccountToken"})) == "false",
                 "automountServiceAccountToken is not false");
  for (const char* host : {"hostNetwork", "hostPID", "hostIPC"}) {
    report.Require(!Has(At(pod, {host})), absl::StrCat(host, " is set"));
  }
  for (const YAML::Node& container : Containers(workload)) {
    const YAML::Node context = At(container, {"securityContext"});
    report.Require(Text(At(context, {"allowPrivilegeEscalation"})) == "false",
                   "allowPrivilegeEscalation is not false");
    report.Require(Text(At(context, {"readOnlyRootFilesystem"})) == "true",
                   "readOnlyRootFilesystem is not true");
    const auto dropped = Items(At(context, {"capabilities", "drop"}));
    report.Require(dropped.size() == 1 && Text(dropped[0]) == "ALL",
                   "capabilities are not dropped");
    report.Require(!Has(At(context, {"capabilities", "add"})), "capabilities are added");
  }
  return report.Take();
}

Problems CheckPodOperation(const Manifest& workload) {
  Report report(workload);
  report.Require(Has(At(PodSpec(workload), {"terminationGracePeriodSeconds"})),
                 "no terminationGracePeriodSeconds");
  report.Require(!Items(At(PodSpec(workload), {"containers"})).empty(), "no containers");
  for (const YAML::Node& container : Items(At(PodSpec(workload), {"containers"}))) {
    for (const std::string probe : {"startupProbe", "readinessProbe", "livenessProbe"}) {
      report.Require(Has(At(container, {probe})), "no " + probe);
      CheckProbePort(workload, At(container, {probe}), &report);
    }
    for (const std::string bound : {"requests", "limits"}) {
      for (const std::string resource : {"cpu", "memory"}) {
        report.Require(Has(At(container, {"resources", bound, resource})),
                       absl::StrCat("no resources.", bound, ".", resource));
      }
    }
    const std::string image = Text(At(container, {"image"}));
    const std::string name = image.substr(image.rfind('/') + 1);
    const bool digest = absl::StrContains(name, "@sha256:");
    report.Require(digest || absl::StrContains(name, ":"), "image without a version: " + image);
    report.Require(!absl::EndsWith(name, ":latest"), "image of no fixed version: " + image);
  }
  return report.Take();
}

Problems CheckVolumes(const Manifest& workload) {
  Report report(workload);
  std::set<std::string> volumes;
  for (const YAML::Node& volume : Items(At(PodSpec(workload), {"volumes"}))) {
    volumes.insert(Text(At(volume, {"name"})));
    report.Require(!Has(At(volume, {"hostPath"})), "a hostPath volume");
    const YAML::Node empty = At(volume, {"emptyDir"});
    report.Require(!Has(empty) || Has(At(empty, {"sizeLimit"})), "an emptyDir without sizeLimit");
  }
  for (const YAML::Node& claim : Items(At(workload.node, {"spec", "volumeClaimTemplates"}))) {
    volumes.insert(Text(At(claim, {"metadata", "name"})));
  }
  for (const YAML::Node& container : Containers(workload)) {
    for (const YAML::Node& mount : Items(At(container, {"volumeMounts"}))) {
      const std::string name = Text(At(mount, {"name"}));
      report.Require(volumes.count(name) > 0, "mounts the unknown volume " + name);
    }
    report.Require(Items(At(container, {"envFrom"})).empty(), "envFrom is used");
    for (const YAML::Node& variable : Items(At(container, {"env"}))) {
      report.Require(!Has(At(variable, {"valueFrom", "secretKeyRef"})),
                     "a secret in the environment");
    }
  }
  return report.Take();
}

Problems CheckReferences(const std::vector<Manifest>& manifests) {
  Problems problems;
  std::set<std::string> identities;
  for (const Manifest& manifest : manifests) {
    identities.insert(absl::StrCat(manifest.Kind(), "/", manifest.Name()));
  }
  for (const Manifest& manifest : manifests) {
    Report report(manifest);
    CheckSelector(manifest, manifests, &report);
    if (IsWorkload(manifest)) {
      const std::string account = Text(At(PodSpec(manifest), {"serviceAccountName"}));
      report.Require(identities.count("ServiceAccount/" + account) > 0,
                     "unknown service account '" + account + "'");
      const std::string service = Text(At(manifest.node, {"spec", "serviceName"}));
      report.Require(manifest.Kind() != "StatefulSet" || identities.count("Service/" + service) > 0,
                     "unknown service '" + service + "'");
    }
    Problems found = report.Take();
    problems.insert(problems.end(), found.begin(), found.end());
  }
  return problems;
}

double ParseBytes(const std::string& text) {
  static const std::map<std::string, double> kUnits = {
      {"", 1},         {"Ki", 1024},    {"kb", 1024},   {"Mi", 1048576},
      {"mb", 1048576}, {"Gi", 1 << 30}, {"gb", 1 << 30}};
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const auto unit = kUnits.find(end);
  return unit == kUnits.end() ? 0 : number * unit->second;
}

Problems CheckRedisConf(const std::string& conf, double limit_bytes) {
  std::map<std::string, std::string> settings;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(conf, '\n'))) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    if (words.size() == 2 && words[0] != "#") settings[words[0]] = words[1];
  }
  Problems problems;
  if (settings["appendonly"] != "yes") problems.push_back("redis: appendonly is not yes");
  if (settings["maxmemory-policy"] != "noeviction") problems.push_back("redis: it evicts");
  const double maxmemory = ParseBytes(settings["maxmemory"]);
  if (maxmemory <= 0 || maxmemory > 0.6 * limit_bytes) {
    problems.push_back(absl::StrCat("redis: maxmemory ", settings["maxmemory"],
                                    " is not within 60 % of ", limit_bytes, " bytes"));
  }
  return problems;
}

}  // namespace fairlead::deploy
