-- wrk's request: POST a file, with the headers that the bench puts into the environment, one "name: value" a line.
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
for name, value in os.getenv("BENCH_HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do
  wrk.headers[name] = value
end

-- One line for the bench to read. Times are in microseconds.
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("bench %d %d %d %.1f %.1f\n", summary.requests, failed, summary.duration,
    latency:percentile(50), latency:percentile(99)))
end
