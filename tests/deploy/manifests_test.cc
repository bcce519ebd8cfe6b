// Reads deploy/ as kustomize would and holds every manifest to what a cluster with Pod Security
// `restricted` admits and what an operator needs; each check is first tried on a manifest that
// fails it.
#include "tests/deploy/manifests.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fairlead::deploy {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kGood[] = R"yaml(apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 60
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: web
          image: registry:5000/web:1.0
          ports: [{name: http, containerPort: 80}]
          startupProbe: {tcpSocket: {port: http}}
          readinessProbe: {grpc: {port: 80}}
          livenessProbe: {tcpSocket: {port: http}}
          resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          env: [{name: A, value: b}]
          volumeMounts: [{name: tmp, mountPath: /tmp}]
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 1Mi}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
)yaml";

std::vector<Manifest> Parse(const std::string& text) {
  auto manifests = ParseManifests("made-up.yaml", text);
  EXPECT_TRUE(manifests.ok()) << manifests.status();
  return manifests.ok() ? *manifests : std::vector<Manifest>{};
}

std::vector<std::string> CheckAll(const std::vector<Manifest>& manifests) {
  std::vector<std::string> problems = CheckReferences(manifests);
  const auto add = [&](const std::vector<std::string>& more) {
    problems.insert(problems.end(), more.begin(), more.end());
  };
  for (const Manifest& manifest : manifests) {
    add(CheckIdentity(manifest));
    if (!IsWorkload(manifest)) continue;
    add(CheckPodSecurity(manifest));
    add(CheckPodOperation(manifest));
    add(CheckVolumes(manifest));
  }
  return problems;
}

TEST(ManifestChecksTest, LetAGoodManifestPass) { EXPECT_THAT(CheckAll(Parse(kGood)), IsEmpty()); }

TEST(ManifestChecksTest, FindEachFault) {
  struct Fault {
    const char* from;
    const char* to;
    const char* problem;
  };
  const Fault faults[] = {
      {"apiVersion: v1\nkind: Service\n", "kind: Service\n", "no apiVersion"},
      {"metadata: {name: web}\nspec: {selector", "metadata: {}\nspec: {selector",
       "no metadata.name"},
      {"runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"},
      {"runAsUser: 65532", "runAsUser: 0", "runAsUser"},
      {"RuntimeDefault", "Unconfined", "seccompProfile"},
      {"automountServiceAccountToken: false", "hostNetwork: true", "hostNetwork"},
      {"      automountServiceAccountToken: false\n", "", "automountServiceAccountToken"},
      {"allowPrivilegeEscalation: false", "privileged: true", "allowPrivilegeEscalation"},
      {"readOnlyRootFilesystem: true, ", "", "readOnlyRootFilesystem"},
      {"drop: [ALL]", "drop: [ALL], add: [NET_ADMIN]", "added"},
      {"drop: [ALL]", "drop: [CHOWN]", "not dropped"},
      {"          livenessProbe: {tcpSocket: {port: http}}\n", "", "no livenessProbe"},
      {"startupProbe: {tcpSocket: {port: http}}", "startupProbe: {tcpSocket: {port: x}}", "port x"},
      {"limits: {cpu: 1, memory: 1Gi}", "limits: {cpu: 1}", "no resources.limits.memory"},
      {"web:1.0", "web:latest", "no fixed version"},
      {"registry:5000/web:1.0", "registry:5000/web", "without a version"},
      {"      terminationGracePeriodSeconds: 60\n", "", "terminationGracePeriodSeconds"},
      {"{name: tmp, mountPath", "{name: data, mountPath", "unknown volume data"},
      {"{sizeLimit: 1Mi}", "{}", "sizeLimit"},
      {"emptyDir: {sizeLimit: 1Mi}", "hostPath: {path: /}", "hostPath"},
      {"value: b", "valueFrom: {secretKeyRef: {name: s, key: k}}", "secret in the environment"},
      {"spec: {selector: {app: web}", "spec: {selector: {app: other}", "selects no pod"},
      {"targetPort: http", "targetPort: grpc", "no container port grpc"},
      {"kind: ServiceAccount\nmetadata: {name: web}", "kind: ServiceAccount\nmetadata: {name: x}",
       "unknown service account"},
  };
  for (const Fault& fault : faults) {
    const std::string broken = absl::StrReplaceAll(kGood, {{fault.from, fault.to}});
    ASSERT_NE(broken, kGood) << fault.from;
    EXPECT_THAT(CheckAll(Parse(broken)), Contains(HasSubstr(fault.problem))) << fault.to;
  }
}

TEST(ManifestChecksTest, NameTheFileThatDoesNotParse) {
  const auto manifests = ParseManifests("broken.yaml", "a: [1, 2\nb: }");
  EXPECT_EQ(manifests.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(manifests.status().message()), HasSubstr("broken.yaml"));
}

TEST(ManifestChecksTest, HoldRedisToItsSettings) {
  const std::string good = "# x\nappendonly yes\nmaxmemory 600mb\nmaxmemory-policy noeviction\n";
  EXPECT_THAT(CheckRedisConf(good, ParseBytes("1Gi")), IsEmpty());
  EXPECT_THAT(CheckRedisConf(good, ParseBytes("900Mi")), SizeIs(1));
  EXPECT_THAT(CheckRedisConf("appendonly no\nmaxmemory-policy allkeys-lru\n", ParseBytes("1Gi")),
              SizeIs(3));
  EXPECT_EQ(ParseBytes("1.5Gi"), 1.5 * 1024 * 1024 * 1024);
  EXPECT_EQ(ParseBytes("12 parsecs"), 0);
}

TEST(KustomizationTest, NamesAMissingFile) {
  const fs::path dir = fs::path(::testing::TempDir()) / "fairlead_kustomization_test";
  fs::create_directories(dir);
  std::ofstream(dir / "kustomization.yaml") << "resources: [missing.yaml]\n";
  const auto loaded = LoadKustomization(dir.string());
  fs::remove_all(dir);
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("missing.yaml"));
}

std::string DeployDir(const std::string& below) {
  return absl::StrCat(FAIRLEAD_SOURCE_DIR, "/deploy/", below);
}

TEST(DeployTest, TheBaseKeepsEveryRule) {
  const auto base = LoadKustomization(DeployDir("base"));
  ASSERT_TRUE(base.ok()) << base.status();
  for (const std::string& problem : CheckAll(base->resources)) ADD_FAILURE() << problem;
  std::set<std::string> names;
  for (const Manifest& manifest : base->resources) {
    EXPECT_TRUE(names.insert(manifest.Kind() + "/" + manifest.Name()).second)
        << manifest.Name() << " stands twice";
  }
  for (const char* needed : {"Namespace/fairlead", "StatefulSet/fairlead-scheduler",
                             "Deployment/fairlead-worker-cpu", "Deployment/fairlead-worker-gpu",
                             "StatefulSet/fairlead-redis", "NetworkPolicy/default-deny"}) {
    EXPECT_THAT(names, Contains(needed));
  }
}

TEST(DeployTest, TheNamespaceEnforcesPodSecurity) {
  const auto base = LoadKustomization(DeployDir("base"));
  ASSERT_TRUE(base.ok()) << base.status();
  for (const Manifest& manifest : base->resources) {
    if (manifest.Kind() != "Namespace") continue;
    EXPECT_EQ(
        manifest.node["metadata"]["labels"]["pod-security.kubernetes.io/enforce"].as<std::string>(),
        "restricted");
  }
}

TEST(DeployTest, RedisIsBoundedAndDurable) {
  const auto base = LoadKustomization(DeployDir("base"));
  ASSERT_TRUE(base.ok()) << base.status();
  std::ifstream in(DeployDir("base/redis.conf"));
  const std::string conf(std::istreambuf_iterator<char>(in), {});
  int seen = 0;
  for (const Manifest& manifest : base->resources) {
    if (manifest.Kind() != "StatefulSet" || manifest.Name() != "fairlead-redis") continue;
    ++seen;
    const auto container = manifest.node["spec"]["template"]["spec"]["containers"][0];
    const auto limit = container["resources"]["limits"]["memory"].as<std::string>();
    EXPECT_THAT(CheckRedisConf(conf, ParseBytes(limit)), IsEmpty());
  }
  EXPECT_EQ(seen, 1);
}

TEST(DeployTest, EveryOverlayPatchesWhatExists) {
  int overlays = 0;
  for (const auto& entry : fs::directory_iterator(DeployDir("overlays"))) {
    ++overlays;
    const auto overlay = LoadKustomization(entry.path().string());
    ASSERT_TRUE(overlay.ok()) << overlay.status();
    std::set<std::string> names;
    for (const Manifest& manifest : overlay->resources) {
      names.insert(manifest.Kind() + "/" + manifest.Name());
    }
    for (const Manifest& patch : overlay->patches) {
      EXPECT_THAT(CheckIdentity(patch), IsEmpty());
      EXPECT_THAT(names, Contains(patch.Kind() + "/" + patch.Name())) << patch.file;
    }
  }
  EXPECT_GT(overlays, 0);
}

TEST(DeployTest, EveryImageOfOursHasItsDockerfileThatEndsUnprivileged) {
  const auto base = LoadKustomization(DeployDir("base"));
  ASSERT_TRUE(base.ok()) << base.status();
  int ours = 0;
  for (const Manifest& manifest : base->resources) {
    if (!IsWorkload(manifest)) continue;
    const auto image = manifest.node["spec"]["template"]["spec"]["containers"][0]["image"];
    const std::string name = image.as<std::string>();
    if (name.rfind("fairlead/", 0) != 0) continue;
    ++ours;
    const std::string role = name.substr(9, name.find(':') - 9);
    std::ifstream in(DeployDir(absl::StrCat("images/", role, ".Dockerfile")));
    const std::string text(std::istreambuf_iterator<char>(in), {});
    EXPECT_THAT(text, HasSubstr("\nUSER 65532:65532\n")) << role;
  }
  EXPECT_EQ(ours, 3);
}

}  // namespace
}  // namespace fairlead::deploy
