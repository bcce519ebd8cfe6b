// What deploy/ must hold, as functions from parsed manifests to what breaks them. No cluster and no
// kustomize needed: a kustomization is followed as far as its files, its patches are not applied.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "yaml-cpp/yaml.h"

namespace fairlead::deploy {

struct Manifest {
  std::string file;
  YAML::Node node;
  std::string Kind() const;
  std::string Name() const;
};

// One kustomization with everything below it.
struct Kustomization {
  std::vector<Manifest> resources;
  std::vector<Manifest> patches;
  std::vector<std::string> generated;  // names of generated config maps and secrets
};

// Reads DIR/kustomization.yaml, its resources and patches, recursively. Errors: NOT_FOUND for a
// file that is named but missing, INVALID_ARGUMENT for one that does not parse; both name the file.
absl::StatusOr<Kustomization> LoadKustomization(const std::string& dir);

// Parses a text of several documents; empty documents are left out.
absl::StatusOr<std::vector<Manifest>> ParseManifests(const std::string& file,
                                                     const std::string& text);

// Each returns one sentence a problem, the manifest's name in front.

// apiVersion, kind, metadata.name.
std::vector<std::string> CheckIdentity(const Manifest& manifest);
// Pod Security `restricted` and what goes beyond it: uid 65532, read-only root, no API token.
std::vector<std::string> CheckPodSecurity(const Manifest& workload);
// The three probes, requests and limits, an image with a fixed version, a grace period.
std::vector<std::string> CheckPodOperation(const Manifest& workload);
// Volume mounts name volumes; secrets come as files, never as environment variables.
std::vector<std::string> CheckVolumes(const Manifest& workload);
// Selectors of services, budgets and network policies select a pod; ports and accounts exist.
std::vector<std::string> CheckReferences(const std::vector<Manifest>& manifests);

// Redis' settings: append-only, no eviction, maxmemory at most 60 % of `limit_bytes`.
std::vector<std::string> CheckRedisConf(const std::string& conf, double limit_bytes);

// "512Mi", "2Gi", "1200mb" (Redis) in bytes; 0 when it is none of these.
double ParseBytes(const std::string& text);

// Whether the manifest has a pod template, and that template's spec.
bool IsWorkload(const Manifest& manifest);

}  // namespace fairlead::deploy
