# Sidekiq (no ack: what a killed process holds is lost): pushes JOBS jobs in bulk, then ten threads
# do them. Arguments: path of the Redis socket, jobs, bytes of payload. Prints jobs a second of
# processing.
require 'sidekiq'
require 'sidekiq/cli'
require 'sidekiq/launcher'

PATH, COUNT, SIZE = ARGV[0], ARGV[1].to_i, ARGV[2].to_i
Redis.silence_deprecations = true # Of what Sidekiq 6 calls; a line each would cost more than a job.
Sidekiq.logger.level = Logger::ERROR
Sidekiq.configure_server { |config| config.redis = { url: "unix://#{PATH}" } }
Sidekiq.configure_client { |config| config.redis = { url: "unix://#{PATH}" } }
DONE = Queue.new

class Job
  include Sidekiq::Worker
  def perform(_payload)
    DONE << 1
  end
end

payload = 'x' * SIZE
(0...COUNT).each_slice(1000) do |slice|
  Sidekiq::Client.push_bulk('class' => Job, 'args' => slice.map { [payload] })
end
Sidekiq.options[:queues] = ['default']
Sidekiq.options[:concurrency] = 10
launcher = Sidekiq::Launcher.new(Sidekiq.options)
start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
launcher.run
COUNT.times { DONE.pop }
puts COUNT / (Process.clock_gettime(Process::CLOCK_MONOTONIC) - start)
$stdout.flush
exit!(0)
