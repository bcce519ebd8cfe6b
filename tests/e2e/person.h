// A contractor that uses the unary calls.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fairlead/v1/contractor_service.grpc.pb.h"
#include "scheduler/cli/client.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {

class Person {
 public:
  Person(const std::string& address, const std::string& token)
      : channel_(cli::OpenChannel(address)),
        stub_(v1::ContractorService::NewStub(channel_)),
        token_(token),
        caller_(address, token, "dev") {}

  void Enrol(const std::vector<std::string>& skills) {
    v1::EnrolRequest request;
    for (const std::string& skill : skills) request.mutable_contractor()->add_skills(skill);
    auto enrolled = caller_.Call(stub_.get(), &v1::ContractorService::Stub::Enrol, request);
    ASSERT_OK(enrolled) << enrolled.status();
  }
  void Online(int credit) {
    v1::SetAvailabilityRequest request;
    request.set_credit(credit);
    auto set = caller_.Call(stub_.get(), &v1::ContractorService::Stub::SetAvailability, request);
    ASSERT_OK(set) << set.status();
  }
  v1::Offer NextOffer() {
    v1::PollOffersRequest request;
    request.mutable_wait()->set_seconds(10);
    auto offers = caller_.Call(stub_.get(), &v1::ContractorService::Stub::PollOffers, request);
    EXPECT_OK(offers) << offers.status();
    EXPECT_TRUE(offers.ok() && offers->offers_size() > 0) << "no offer came";
    return offers.ok() && offers->offers_size() > 0 ? offers->offers(0) : v1::Offer();
  }
  // Offers that are there or come at once.
  std::vector<v1::Offer> Offers() {
    v1::PollOffersRequest request;
    request.mutable_wait()->set_nanos(50'000'000);
    auto offers = caller_.Call(stub_.get(), &v1::ContractorService::Stub::PollOffers, request);
    if (!offers.ok()) return {};
    return {offers->offers().begin(), offers->offers().end()};
  }
  std::optional<v1::Offer> TryNextOffer() {
    const std::vector<v1::Offer> offers = Offers();
    if (offers.empty()) return std::nullopt;
    return offers[0];
  }
  absl::StatusOr<v1::Assignment> Accept(const v1::Offer& offer) {
    v1::AcceptOfferRequest request;
    request.set_assignment(offer.assignment());
    request.set_token(offer.token());
    return caller_.Call(stub_.get(), &v1::ContractorService::Stub::AcceptOffer, request);
  }
  absl::StatusOr<v1::Receipt> Submit(const v1::Offer& offer, const std::string& answer,
                                     const std::string& token = "") {
    v1::Answer chosen;
    chosen.set_class_name(answer);
    return SubmitAnswer(offer, chosen, token);
  }
  absl::StatusOr<v1::Receipt> SubmitAnswer(const v1::Offer& offer, const v1::Answer& answer,
                                           const std::string& token = "") {
    v1::SubmitAnnotationRequest request;
    request.set_assignment(offer.assignment());
    request.set_token(token.empty() ? offer.token() : token);
    *request.mutable_answer() = answer;
    return caller_.Call(stub_.get(), &v1::ContractorService::Stub::SubmitAnnotation, request);
  }
  absl::StatusOr<v1::ExtendAssignmentResponse> Extend(const v1::Offer& offer) {
    v1::ExtendAssignmentRequest request;
    request.set_assignment(offer.assignment());
    request.set_token(offer.token());
    return caller_.Call(stub_.get(), &v1::ContractorService::Stub::ExtendAssignment, request);
  }
  // One event by a stream of its own, and what comes back.
  v1::WorkResponse Ask(const v1::WorkRequest& request) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token_);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    const auto stream = stub_->Work(&context);
    v1::WorkResponse response;
    EXPECT_TRUE(stream->Write(request) && stream->Read(&response));
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
    return response;
  }
  absl::Status Report(const v1::Offer& offer) {
    v1::ReportTaskRequest request;
    request.set_assignment(offer.assignment());
    request.set_token(offer.token());
    request.set_reason("cannot be read");
    return caller_.Call(stub_.get(), &v1::ContractorService::Stub::ReportTask, request).status();
  }
  absl::Status Decline(const v1::Offer& offer) {
    v1::DeclineOfferRequest request;
    request.set_assignment(offer.assignment());
    request.set_token(offer.token());
    return caller_.Call(stub_.get(), &v1::ContractorService::Stub::DeclineOffer, request).status();
  }
  cli::Client& caller() { return caller_; }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ContractorService::Stub> stub_;
  const std::string token_;
  cli::Client caller_;
};

}  // namespace fairlead::e2e
