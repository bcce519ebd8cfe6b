#include "scheduler/cli/generate_pairs.h"

#include <cmath>
#include <iterator>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "scheduler/cli/generate_random.h"

namespace fairlead {
namespace {

constexpr double kNoise = 0.3;  // Deviation of what a reader likes for no reason in the words.
constexpr double kSlope = 1.8;
constexpr double kOnTopicQuality = 0.8;
constexpr double kOffTopicQuality = -0.2;  // Sensible advice, but on something else.

struct Phrase {
  const char* text;
  double quality;
};

// In each table the qualities add up to about 0, and good and bad sentences are equally long, so
// that a longer reply is not a better one.
constexpr Phrase kOpeners[] = {
    {"Happy to help, here is what usually works well.", 1.4},
    {"Good question, and luckily it is easy to solve.", 1.0},
    {"Thanks for the details, they make the answer clear.", 1.2},
    {"Here is a short answer to what you ask.", 0.2},
    {"There are a few ways to look at this.", 0.0},
    {"You really should have looked this up by yourself.", -1.2},
    {"Anybody with some sense knows that already.", -1.5},
    {"I do not see why you bother me again.", -1.4},
};

constexpr Phrase kAdvice[] = {
    {"Begin with a small test before you change everything.", 1.0},
    {"Write down each step so that you can undo it.", 1.2},
    {"Check the label first, because exact numbers do differ.", 1.0},
    {"If it fails, note the message and stop there.", 0.9},
    {"Many people run into this sooner or later.", 0.0},
    {"It can take a while in some cases.", 0.0},
    {"Perhaps it depends, nobody can really say.", -0.9},
    {"Poke around at random until something seems fine.", -1.2},
    {"Ignore every warning, they never mean anything at all.", -1.4},
    {"I cannot comment any further on that whole matter.", -0.9},
};

constexpr Phrase kClosers[] = {
    {"Please tell me how it went, I can refine this.", 1.2},
    {"Would you like a checklist for the next time?", 0.9},
    {"Good luck, you are nearly there with this one.", 0.8},
    {"That is about all there is to it.", 0.0},
    {"Whatever happens next is your own stupid fault.", -1.5},
    {"Stop wasting my time with such questions from now.", -1.4},
    {"Maybe someone else knows, maybe they do not either.", -0.6},
};

struct Topic {
  const char* prompts[2];
  const char* right[2];
  Phrase wrong[2];
};

constexpr Topic kTopics[] = {
    {{"How do I boil an egg so that the yolk stays soft?", "What is the way to a soft egg?"},
     {"Boil the egg for six minutes, then cool it quickly.",
      "Put the egg into boiling water and set a timer."},
     {{"Boil the egg for one hour without any water.", -0.8},
      {"Put the raw egg straight into a hot microwave.", -0.8}}},
    {{"My laptop is slow. What can I do?", "How can I make an old laptop faster?"},
     {"Close unused programs and see what fills the memory.",
      "Update the system and free space on the disk."},
     {{"Delete the system folder, the laptop will not miss it.", -0.9},
      {"Pour cold water on the laptop to cool it.", -0.8}}},
    {{"How often should I water a cactus?", "My cactus looks sad. How much water does it need?"},
     {"Water the cactus only when its soil is dry.",
      "Give the cactus light, and little water in winter."},
     {{"Keep the cactus under water, day and night.", -0.8},
      {"Water the cactus hourly with salt and hot oil.", -0.9}}},
    {{"How do I reset a forgotten password?", "I forgot my password. What now?"},
     {"Choose the reset link and follow the mail you get.",
      "Reset the password, then keep it in a manager."},
     {{"Post your password publicly so others can try it.", -0.9},
      {"Type random passwords until the account is locked.", -0.7}}},
    {{"How can I fall asleep earlier?", "What helps against lying awake at night?"},
     {"Dim the lights and leave the phone outside the bedroom.",
      "Go to bed at the same hour each night."},
     {{"Drink four coffees at midnight and watch bright screens.", -0.8},
      {"Sleep all afternoon and eat heavily before going to bed.", -0.7}}},
    {{"What should I pack for a mountain hike?", "I plan a day hike. What do I take along?"},
     {"Pack water, a map, a warm layer and snacks.",
      "Take rain clothes along and tell someone your route."},
     {{"Take no water along, thirst makes you walk faster.", -0.9},
      {"Hike in thin sandals and leave the map behind.", -0.7}}},
    {{"How do I remove a red wine stain?", "There is wine on my shirt. Can it be saved?"},
     {"Blot the stain, then soak it in cold water.",
      "Cover the stain with salt and rinse it soon."},
     {{"Rub the stain hard and iron it in deeply.", -0.7},
      {"Pour more wine on the stain until it matches.", -0.7}}},
    {{"How can I learn basic Spanish fast?", "What is a good start for learning Spanish?"},
     {"Practise Spanish aloud for twenty minutes every morning.",
      "Learn the hundred most common Spanish words first."},
     {{"Read one Spanish dictionary backwards and never speak it.", -0.7},
      {"Spanish is simply English with louder and longer vowels.", -0.8}}},
};

struct Reply {
  std::string text;
  double helpfulness = 0;
};

void Say(const Phrase& phrase, Reply* reply) {
  absl::StrAppend(&reply->text, reply->text.empty() ? "" : " ", phrase.text);
  reply->helpfulness += phrase.quality;
}

Phrase SayOnTopic(const Topic& topic, GenerateRandom& random) {
  const double kind = random.Unit();
  if (kind < 0.45) return {random.Of(topic.right), kOnTopicQuality};
  if (kind < 0.85) return random.Of(topic.wrong);
  return {random.Of(random.Of(kTopics).right), kOffTopicQuality};
}

Reply MakeReply(const Topic& topic, GenerateRandom& random) {
  Reply reply;
  Say(random.Of(kOpeners), &reply);
  Say(SayOnTopic(topic, random), &reply);
  const int advice = random.Whole(1, 2);
  for (int i = 0; i < advice; ++i) Say(random.Of(kAdvice), &reply);
  if (random.Unit() < 0.8) Say(random.Of(kClosers), &reply);
  reply.helpfulness += kNoise * random.Normal();
  return reply;
}

}  // namespace

GeneratedPair GeneratePair(uint64_t seed, int64_t index) {
  GenerateRandom random(seed, static_cast<uint64_t>(index));
  const Topic& topic = random.Of(kTopics);
  const std::string prompt = random.Of(topic.prompts);
  const Reply a = MakeReply(topic, random);
  Reply b = MakeReply(topic, random);
  while (b.text == a.text) b = MakeReply(topic, random);
  const double a_wins = 1 / (1 + std::exp(-kSlope * (a.helpfulness - b.helpfulness)));
  return GeneratedPair{prompt, a.text, b.text, random.Unit() < a_wins};
}

std::string PairJson(const GeneratedPair& pair) {
  nlohmann::ordered_json json;
  json["prompt"] = pair.prompt;
  json["chosen"] = pair.a_better ? pair.response_a : pair.response_b;
  json["rejected"] = pair.a_better ? pair.response_b : pair.response_a;
  return json.dump();
}

absl::Status WritePairsJsonl(const std::string& path, uint64_t seed, int64_t first, int64_t count) {
  if (count <= 0) return FieldError("count", absl::StrCat(count, " is not positive"));
  std::string lines;
  for (int64_t i = first; i < first + count; ++i) {
    absl::StrAppend(&lines, PairJson(GeneratePair(seed, i)), "\n");
  }
  return WriteFileDurably(path, absl::StrCat(path, ".part"), lines);
}

}  // namespace fairlead
