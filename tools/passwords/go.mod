module github.com/stepup-auth/stepup/tools/passwords

go 1.26.8

require github.com/trustelem/zxcvbn v1.0.1
