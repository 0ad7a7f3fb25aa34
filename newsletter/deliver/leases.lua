-- Leases what one process may use of many limited things, all in one step.
--
-- KEYS[1]: the processes, by when they were last heard of. KEYS[2…]: one hash for each limited thing:
-- process -> "slots rate wanted_rate expires", and "free_at", before which nobody new may begin.
-- ARGV: the process, the length of its leases in ms, then six numbers for each thing:
-- limit, wish and present use of its slots; limit and wish of its rate; ms that the process is busy for.
-- Answers the number of processes, then slots, rate and ms to wait for each thing.

local HEARD_OF_MS = 60000
local process, length = ARGV[1], tonumber(ARGV[2])
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call("ZADD", KEYS[1], now + HEARD_OF_MS, process)
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now)
redis.call("PEXPIRE", KEYS[1], HEARD_OF_MS)
local answer = {redis.call("ZCARD", KEYS[1])}

local function others_at(key)
  local others = {slots = 0, rate = 0, wanted = 0, count = 0, hungry = false}
  local was_sending, free_at = false, 0
  local fields = redis.call("HGETALL", key)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if name == "free_at" then
      free_at = tonumber(value)
    else
      local slots, rate, wanted, expires = value:match("(%S+) (%S+) (%S+) (%S+)")
      if tonumber(expires) <= now then
        redis.call("HDEL", key, name)
      elseif name == process then
        was_sending = tonumber(rate) > 0
      else
        others.slots = others.slots + slots
        others.rate = others.rate + rate
        others.wanted = others.wanted + wanted
        others.count = others.count + 1
        others.hungry = others.hungry or tonumber(rate) < tonumber(wanted)
      end
    end
  end
  return others, was_sending, free_at
end

for i = 2, #KEYS do
  local key, at = KEYS[i], 3 + (i - 2) * 6
  local slot_limit, slots_wanted, slots_used = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local rate_limit, rate_wanted, busy = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local others, was_sending, free_at = others_at(key)

  local slots = math.max(0, math.min(slots_wanted, slot_limit - others.slots))
  if slot_limit > 0 and slots == 0 then
    rate_wanted = 0  -- nothing to send it over: let those have it who can
  end
  local rate = math.max(0, math.min(rate_wanted, rate_limit - others.rate))
  if others.hungry then
    local fair = math.max(rate_limit / (others.count + 1), rate_limit - others.wanted)
    rate = math.min(rate, fair)
  end

  if busy > 0 then
    free_at = math.max(free_at, now + busy)
  end
  if free_at > now then
    redis.call("HSET", key, "free_at", string.format("%d", free_at))
  else
    redis.call("HDEL", key, "free_at")
  end
  if slots > 0 or rate_wanted > 0 or slots_used > 0 then
    -- What is still used counts until it is not, whatever the process was granted now.
    local value = string.format("%d %.6f %.6f %d", math.max(slots, slots_used), rate, rate_wanted, now + length)
    redis.call("HSET", key, process, value)
  else
    redis.call("HDEL", key, process)
  end
  redis.call("PEXPIRE", key, math.max(length, free_at - now) + length)

  answer[#answer + 1] = slots
  answer[#answer + 1] = string.format("%.6f", rate)
  answer[#answer + 1] = was_sending and 0 or math.max(0, free_at - now)
end
return answer
