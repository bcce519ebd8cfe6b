-- Shared by all libraries; each embedded library is "#!lua name=<domain>" + this file + its own.

-- The clock of every function: Redis TIME in Unix ms, unless a simulation gives its own (> 0).
local function now_of(argv)
  local given = tonumber(argv[1])
  if given and given > 0 then return given end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Refuses a caller that does not know the slot's incarnation: a leader that was taken over, or a
-- Redis that came back without its data (then the key is missing and nobody is right).
local function fenced(keys, argv)
  return redis.call('GET', keys[1]) ~= argv[2]
end

-- Appends one event to the slot's stream and returns its sequence number. Fields: k = kind,
-- t = time in ms, then what the caller gives.
local function emit(keys, now, kind, ...)
  local seq = redis.call('INCR', keys[2])
  redis.call('XADD', keys[3], seq .. '-0', 'k', kind, 't', string.format('%.0f', now), ...)
  return seq
end

local function int(value) return string.format('%.0f', value) end
