-- Sends the deliveries of a file, each once, and prints the result as JSON.

local requests = {}
local index = 0

function init(args)
  for line in io.lines(args[1]) do
    local id, timestamp, signature, body = line:match("([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)")
    requests[#requests + 1] = wrk.format("POST", nil, {
      ["svix-id"] = id,
      ["svix-timestamp"] = timestamp,
      ["svix-signature"] = signature,
      ["content-type"] = "application/json",
    }, body)
  end
end

function request()
  index = index + 1
  if index > #requests then index = 1 end
  return requests[index]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"perSecond":%.1f,"p50":%.4f,"p99":%.4f,"errors":%d}',
    summary.requests / (summary.duration / 1000000),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
