package test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Every test that the documents name is there.
func TestDocumentsNameTests(t *testing.T) {
	tests, err := exec.Command("grep", "-rhoE", "--include=*_test.go", "^func (Test|Fuzz|Example)[A-Za-z0-9_]+", "..").Output()
	if err != nil {
		t.Fatal(err)
	}
	there := make(map[string]bool)
	for line := range strings.Lines(string(tests)) {
		there[strings.TrimSpace(strings.TrimPrefix(line, "func "))] = true
	}
	for _, file := range []string{"../docs/pitfalls.md", "../docs/design.md", "../README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\b(Test|Fuzz)[A-Z][A-Za-z0-9]+`).FindAllString(string(text), -1) {
			if name != "TestMain" && !there[name] {
				t.Errorf("%s names %s, which is not there", file, name)
			}
		}
	}
}
