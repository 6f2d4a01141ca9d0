package health

import (
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	good := Defaults()
	for _, tt := range []struct {
		change func(c *Config)
		want   string
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.Interval = 0 }, "Interval: 0s is less than 1ms"},
		{func(c *Config) { c.Interval = time.Millisecond }, ""},
		{func(c *Config) { c.Timeout = time.Millisecond - 1 }, "Timeout: 999.999µs is less than 1ms"},
		{func(c *Config) { c.Retries = 0 }, "Retries: 0 is less than 1"},
		{func(c *Config) { c.Retries = 1 }, ""},
		{func(c *Config) { c.StartPeriod = -1 }, "StartPeriod: -1ns is less than 0s"},
		{func(c *Config) { c.StartInterval = 1 }, "StartInterval: 1ns is less than 1ms"},
		{func(c *Config) { c.StartInterval = -sec }, "StartInterval: -1s is less than 1ms"},
		{func(c *Config) { c.StartInterval = sec }, ""},
		{func(c *Config) { *c = Config{} }, "Interval: 0s is less than 1ms\nTimeout: 0s is less than 1ms\nRetries: 0 is less than 1"},
	} {
		c := good
		tt.change(&c)
		got := ""
		if err := c.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: %q, want %q", c, got, tt.want)
		}
	}
}

// Who waits for the first success gets at least ten probes before the limit, and so
// none that is too late, however long the interval is.
func TestAwaitReady(t *testing.T) {
	set := Defaults()
	set.StartInterval, set.StartPeriod = 7*sec, 2*time.Minute
	often := Defaults()
	often.Interval = 200 * time.Millisecond
	for _, tt := range []struct {
		cfg              Config
		limit            time.Duration
		period, interval time.Duration
	}{
		{Defaults(), 60 * sec, 60 * sec, sec},
		{Defaults(), 10 * sec, 10 * sec, sec},
		{Defaults(), 3 * sec, 3 * sec, 300 * time.Millisecond},
		{Defaults(), 1, 1, time.Millisecond},
		{often, time.Minute, time.Minute, 200 * time.Millisecond},
		{set, time.Minute, 2 * time.Minute, 7 * sec},
	} {
		c := tt.cfg.AwaitReady(tt.limit)
		if c.StartPeriod != tt.period || c.startInterval() != tt.interval {
			t.Errorf("%+v within %v: start period %v, interval %v; want %v, %v",
				tt.cfg, tt.limit, c.StartPeriod, c.startInterval(), tt.period, tt.interval)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%+v within %v: %v", tt.cfg, tt.limit, err)
		}
		if c.Interval != tt.cfg.Interval {
			t.Errorf("interval %v has become %v", tt.cfg.Interval, c.Interval)
		}
	}
}

// Docker's start interval is 5 s. It is not to make a shorter interval longer.
func TestStartInterval(t *testing.T) {
	for _, tt := range []struct{ interval, start, want time.Duration }{
		{30 * sec, 0, 5 * sec},
		{5 * sec, 0, 5 * sec},
		{2 * sec, 0, 2 * sec},
		{2 * sec, 10 * sec, 10 * sec},
		{30 * sec, sec, sec},
	} {
		if got := (Config{Interval: tt.interval, StartInterval: tt.start}).startInterval(); got != tt.want {
			t.Errorf("interval %v, start interval %v: %v, want %v", tt.interval, tt.start, got, tt.want)
		}
	}
}
